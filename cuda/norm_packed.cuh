// Batch normalisation in packs of channels: what its kernels share, those with a pooling behind it included.
#pragma once

#include "cuda/channels.cuh"
#include "cuda/dispatch.h"
#include "cuda/kernels.h"
#include "cuda/norm.cuh"

namespace dnn::cuda {

// What becomes of x: (x - mean) * scale + bias. The fused operation is spelled out, so that forward and backward pass
// agree about the sign to the last bit.
template <int width>
struct PackTransform {
  float mean[width], scale[width], bias[width];

  __device__ PackTransform(const ChannelTransform<float>& transform, int64_t pack, int64_t packs) {
    const ChannelValues<width> means(transform.mean, pack, packs), weights(transform.weight, pack, packs);
    const ChannelValues<width> spread(transform.inv_std != nullptr ? transform.inv_std : transform.variance, pack,
                                      packs);
    unrolled<width>([&](int k) {
      mean[k] = means[k];
      const float deviation =
          transform.inv_std != nullptr ? spread[k] : 1.0f / math::sqrt(spread[k] + static_cast<float>(transform.eps));
      scale[k] = weights[k] * deviation;
      bias[k] = 0;
    });
    if (transform.bias == nullptr) return;
    const ChannelValues<width> biases(transform.bias, pack, packs);
    unrolled<width>([&](int k) { bias[k] = biases[k]; });
  }
  __device__ float operator()(float x, int k) const { return ::fmaf(x - mean[k], scale[k], bias[k]); }
};

// The sums of the gradient and of its product with x - mean, as an operation of channels.cuh without its `fold`.
template <class T>
struct GradientSums {
  static constexpr int width = Pack<T>::width;
  struct State {
    float gradient[width], product[width];
  };
  ChannelTransform<float> constants;
  StoreGradients<float> gradients;
  double count;
  float* offsets;  // of the gradient of x: weight inv_std gradient + slope (x - mean) + offset; null: not wanted
  float* slopes;

  __device__ State neutral() const { return {}; }
  __device__ State operator()(const State& a, const State& b) const {
    State both;
    unrolled<width>([&](int k) {
      both.gradient[k] = a.gradient[k] + b.gradient[k], both.product[k] = a.product[k] + b.product[k];
    });
    return both;
  }
  __device__ void store(int64_t pack, const State& state) const {
    unrolled<width>([&](int k) {
      const int64_t c = pack * width + k;
      const double inv_std = double{constants.inv_std[c]}, scale = double{constants.weight[c]} * inv_std;
      const double product = double{state.product[k]} * inv_std;
      gradients.store(c, double{state.gradient[k]}, product);
      if (offsets == nullptr) return;
      offsets[c] = static_cast<float>(-scale * double{state.gradient[k]} / count);
      slopes[c] = static_cast<float>(-scale * inv_std * product / count);
    });
  }
};

namespace packed {

template <class Visit>
void visit(DType type, Visit&& visit) {
  visit_types<float, float16, bfloat16>(type, visit);
}

// Where fewer rows are left to a thread than that, its constants cost more than they are worth.
inline constexpr int64_t rows_each = 4;

template <class T>
ChannelGrid grid_of(const Context& context, const Tensor& x) {
  const Images images = images_of(x);
  return channel_grid(context, images.n * images.pixels, images.channels / Pack<T>::width, rows_each);
}

inline ChannelTransform<float> transform_of(const Tensor& mean, const Tensor& inv_std, const Tensor& weight,
                                            const Tensor& bias) {
  return {elements<float>(mean), elements<float>(inv_std), nullptr, elements<float>(weight), elements<float>(bias), 0};
}

inline StoreGradients<float> store_gradients(const kernel::BatchNormGradients& out) {
  return {elements<float>(out.weight), elements<float>(out.bias), out.accumulate_weight, out.accumulate_bias};
}

}  // namespace packed

}  // namespace dnn::cuda
