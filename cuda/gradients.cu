// What training asks of all gradients at once (chunks.cuh): their norm, whether they are finite, a common factor; and
// the scale of the loss.
//
// The norm takes two launches: blocks sum up, or find the largest of, the chunks that they take, and one block combines
// what they found in a fixed order. Threads sum the elements of a chunk in their own type, everything else in float64.
#include <limits>

#include "core/math.h"
#include "cuda/chunks.cuh"
#include "cuda/dispatch.h"
#include "cuda/kernels.h"
#include "cuda/reduce.cuh"

namespace dnn::cuda {

// Of some elements: the sum of squares or the largest absolute value, and whether there is infinity or NaN among them.
struct Measured {
  double value = 0;
  int64_t non_finite = 0;
};

// Adds up, or takes the larger value, NaN if there is one.
struct CombineMeasured {
  bool largest;
  __device__ Measured operator()(const Measured& a, const Measured& b) const {
    Measured both;
    both.value = !largest ? a.value + b.value : a.value != a.value || a.value > b.value ? a.value : b.value;
    both.non_finite = a.non_finite | b.non_finite;
    return both;
  }
};

// The numbers that MeasureOptions and GradientMeasures name.
struct MeasureNumbers {
  double max_norm;
  DeviceNumber scale;
  void* norm;
  void* factor;
  bool wide;  // norm and factor are float64
  float* non_finite;
};

namespace {

template <class T>
__device__ Measured measure_chunk(CombineMeasured combine, const T* gradient, int64_t n) {
  using C = Compute<T>;
  constexpr int width = Pack<T>::width;
  Measured all;
  C sum = 0;
  for (int64_t i = threadIdx.x; i * width < n; i += blockDim.x) {
    C values[width];
    load_item(gradient, i, n, values);
    for (int k = 0; k < width; ++k) {
      const C size = values[k] < 0 ? -values[k] : values[k];
      if (!(size <= std::numeric_limits<C>::max())) all.non_finite = 1;
      if (combine.largest)
        all = combine(all, {static_cast<double>(size), 0});
      else
        sum += size * size;
    }
  }
  if (!combine.largest) all.value = static_cast<double>(sum);
  return all;
}

}  // namespace

__global__ void measure_kernel(CombineMeasured combine, ChunkTable table, Measured* partials) {
  Measured all;
  for_each_chunk(table, [&](const ListEntry& entry, int64_t begin, int64_t n) {
    const auto look = [&]<class T>(T) {
      all = combine(all, measure_chunk(combine, static_cast<const T*>(entry.gradient) + begin, n));
    };
    switch (static_cast<DType>(entry.gradient_type)) {
      case DType::float32: look(0.0f); break;
      case DType::float16: look(float16()); break;
      case DType::bfloat16: look(bfloat16()); break;
      default: look(0.0); break;
    }
  });
  all = block_reduce(all, Measured(), combine);
  if (threadIdx.x == 0) partials[blockIdx.x] = all;
}

__global__ void measure_finish_kernel(CombineMeasured combine, const Measured* partials, int64_t count,
                                      MeasureNumbers numbers) {
  Measured all;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) all = combine(all, partials[i]);
  all = block_reduce(all, Measured(), combine);
  if (threadIdx.x != 0) return;
  const double scale = numbers.scale.value();
  const double norm = (combine.largest ? all.value : math::sqrt(all.value)) / scale;
  double share = numbers.max_norm > 0 ? numbers.max_norm / (norm + 1e-6) : 1;
  if (share > 1) share = 1;  // NaN stays NaN
  if (numbers.wide) {
    *static_cast<double*>(numbers.norm) = norm;
    *static_cast<double*>(numbers.factor) = share / scale;
  } else {
    *static_cast<float*>(numbers.norm) = static_cast<float>(norm);
    *static_cast<float*>(numbers.factor) = static_cast<float>(share / scale);
  }
  *numbers.non_finite = all.non_finite != 0 ? 1.0f : 0.0f;
}

__global__ void scale_gradients_kernel(ChunkTable table, DeviceNumber number) {
  const double factor = number.value();
  if (factor == 1) return;
  for_each_chunk(table, [&](const ListEntry& entry, int64_t begin, int64_t n) {
    const auto scale = [&]<class T>(T) {
      using C = Compute<T>;
      T* gradient = static_cast<T*>(entry.gradient) + begin;
      for (int64_t i = threadIdx.x; i < pack_count<T>(n); i += blockDim.x) {
        Pack<T> pack = load_vec(gradient, i, n);
        for (T& value : pack.values) value = static_cast<T>(static_cast<C>(value) * static_cast<C>(factor));
        store_vec(gradient, i, n, pack);
      }
    };
    switch (static_cast<DType>(entry.gradient_type)) {
      case DType::float32: scale(0.0f); break;
      case DType::float16: scale(float16()); break;
      case DType::bfloat16: scale(bfloat16()); break;
      default: scale(0.0); break;
    }
  });
}

__global__ void loss_scale_kernel(float* scale, int32_t* streak, const float* non_finite, LossScaleUpdate options) {
  if (threadIdx.x != 0) return;
  if (*non_finite != 0) {
    *scale *= static_cast<float>(options.backoff);
    *streak = 0;
  } else if (++*streak >= options.interval) {
    const float grown = *scale * static_cast<float>(options.growth);
    if (grown <= std::numeric_limits<float>::max()) *scale = grown;
    *streak = 0;
  }
}

namespace {

ChunkList listed(const std::vector<Tensor>& gradients) {
  ChunkList list;
  for (const Tensor& gradient : gradients)
    list.add({.gradient = detail::raw(gradient),
              .n = gradient.numel(),
              .gradient_type = static_cast<int64_t>(gradient.dtype())});
  return list;
}

}  // namespace

void measure_gradients(const std::vector<Tensor>& gradients, bool infinity_norm, double max_norm, const Tensor& scale,
                       const Tensor& norm, const Tensor& factor, const Tensor& non_finite) {
  const ChunkList list = listed(gradients);
  Context& context = Context::of(gradients.front());
  const Grid grid = context.grid(list.chunks() * 256);
  const Scratch scratch(context, static_cast<int64_t>(sizeof(Measured)) * grid.blocks);
  Measured* partials = scratch.as<Measured>();
  const CombineMeasured combine{infinity_norm};
  if (!list.empty()) launch(measure_kernel, grid, context, combine, list.on(context), partials);
  const MeasureNumbers numbers{max_norm,
                               DeviceNumber(scale),
                               detail::raw(norm),
                               detail::raw(factor),
                               norm.dtype() == DType::float64,
                               elements<float>(non_finite)};
  launch(measure_finish_kernel, Grid{1, 256}, context, combine, partials, int64_t{grid.blocks}, numbers);
}

void scale_gradients(const std::vector<Tensor>& gradients, const Tensor& factor) {
  const ChunkList list = listed(gradients);
  if (list.empty()) return;
  Context& context = Context::of(gradients.front());
  launch(scale_gradients_kernel, context.grid(list.chunks() * 256), context, list.on(context), DeviceNumber(factor));
}

void update_loss_scale(const Tensor& scale, const Tensor& streak, const Tensor& non_finite,
                       const LossScaleUpdate& options) {
  launch(loss_scale_kernel, Grid{1, 32}, Context::of(scale), elements<float>(scale), elements<int32_t>(streak),
         elements<float>(non_finite), options);
}

}  // namespace dnn::cuda
