// Batch normalisation with ReLU and max pooling behind it, as at the stem of a ResNet, in packs of channels
// (norm_packed.cuh, pool.cuh): what the pooling reads is never written.
//
// Forward: the statistics in one launch, then a thread for each pack of an output pixel, which normalises the pixels of
// its window. Backward: a thread for each pack of an input pixel gathers the gradients of the windows that the pixel
// has won, and computes anew whether ReLU let it pass; once for the sums, once for the gradient of x. x is read twice
// each way, the small images stay in the caches.
#include "core/storage.h"
#include "cuda/norm_packed.cuh"
#include "cuda/pool.cuh"

namespace dnn::cuda {

// As a batch normalisation with ReLU of its own would have written it.
template <class T>
__device__ inline float rectified(const PackTransform<Pack<T>::width>& transform, const Pack<T>& x, int k) {
  const float value = transform(static_cast<float>(x.values[k]), k);
  return static_cast<float>(T(value < 0 ? 0.0f : value));
}

template <class T>
__global__ void __launch_bounds__(channel_threads, channel_blocks)
    batch_norm_pool_forward_packed_kernel(ChannelGrid grid, PoolWindows windows, PackImages<T> x,
                                          ChannelTransform<float> constants, PackImages<T> out,
                                          PackWinners<T>* winners) {
  const ChannelLane at(grid);
  if (at.count == 0) return;
  const PackTransform<Pack<T>::width> transform(constants, at.pack, grid.packs);
  for (int64_t i = 0; i < at.count; ++i) {
    const auto place = PoolWindows::place(at.row + i * at.step, out.height, out.width);
    const auto rows = windows.rows(place.y), columns = windows.columns(place.x);
    const int64_t top = windows.top(place.y), left = windows.left(place.x);
    const auto number = [&](int64_t h, int64_t w) { return static_cast<int>((h - top) * windows.kernel_w + w - left); };
    PackMaximum<T> best(number(rows.begin, columns.begin));
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const Pack<T> values = x.data[x.index(place.n, h, w, at.pack)];
        best.offer(number(h, w), [&](int k) { return rectified<T>(transform, values, k); });
      }
    }
    const int64_t index = at.first + i * at.stride;
    out.data[index] = best.pack();
    if (winners != nullptr) winners[index] = best.numbers();
  }
}

// The gradient of an input pixel's pack behind the batch normalisation, before ReLU.
template <class T>
struct PooledGradient {
  PoolWindows windows;
  PackImages<T> grad_output;
  const PackWinners<T>* winners;
  PackImages<T> x;

  // `values` becomes x.
  __device__ void operator()(const ChannelLane& at, int64_t i, const PackTransform<Pack<T>::width>& transform,
                             Pack<T>& values, float (&gradient)[Pack<T>::width]) const {
    values = x.data[at.first + i * at.stride];
    unrolled<Pack<T>::width>([&](int k) { gradient[k] = 0; });
    add_pooled_gradients(windows, grad_output, winners, PoolWindows::place(at.row + i * at.step, x.height, x.width),
                         at.pack, gradient);
    unrolled<Pack<T>::width>([&](int k) {
      // A batch normalisation of its own would have got it rounded.
      gradient[k] = rectified<T>(transform, values, k) > 0 ? static_cast<float>(T(gradient[k])) : 0.0f;
    });
  }
};

template <class T>
struct PooledGradientMoments : GradientSums<T> {
  static constexpr int width = Pack<T>::width;
  using State = typename GradientSums<T>::State;
  PooledGradient<T> pooled;

  __device__ State fold(const ChannelGrid& grid, const ChannelLane& at) const {
    State state{};
    if (at.count == 0) return state;
    const PackTransform<width> transform(this->constants, at.pack, grid.packs);
    for (int64_t i = 0; i < at.count; ++i) {
      Pack<T> x;
      float gradient[width];
      pooled(at, i, transform, x, gradient);
      unrolled<width>([&](int k) {
        state.gradient[k] += gradient[k];
        state.product[k] += gradient[k] * (static_cast<float>(x.values[k]) - transform.mean[k]);
      });
    }
    return state;
  }
};

template <class T>
__global__ void __launch_bounds__(channel_threads, channel_blocks)
    batch_norm_pool_backward_packed_kernel(ChannelGrid grid, PooledGradient<T> pooled,
                                           ChannelTransform<float> constants, const float* offsets, const float* slopes,
                                           T* grad_x, bool accumulate) {
  constexpr int width = Pack<T>::width;
  const ChannelLane at(grid);
  if (at.count == 0) return;
  const PackTransform<width> transform(constants, at.pack, grid.packs);
  const ChannelValues<width> offset(offsets, at.pack, grid.packs), slope(slopes, at.pack, grid.packs);
  for (int64_t i = 0; i < at.count; ++i) {
    const int64_t index = at.first + i * at.stride;
    PackRows<T, 1> before{}, result;
    if (accumulate) before = {grad_x, index, 0};
    Pack<T> x;
    float gradient[width];
    pooled(at, i, transform, x, gradient);
    unrolled<width>([&](int k) {
      const float centred = static_cast<float>(x.values[k]) - transform.mean[k];
      const float value = gradient[k] * transform.scale[k] + ::fmaf(centred, slope[k], offset[k]);
      result.set(0, k, accumulate ? before.at(0, k) + value : value);
    });
    result.store(grad_x, index, 0);
  }
}

void batch_norm_pool_fits(const kernel::PoolProblem& problem, const Tensor& x, bool* fits) {
  *fits =
      problem.kernel.h * problem.kernel.w <= 256 && packed::fit(Context::of(x), {x}) && packed::fit(problem, {x}, {});
}

void batch_norm_pool_train(const kernel::PoolProblem& problem, const Tensor& x, const Tensor& weight,
                           const Tensor& bias, double eps, const kernel::RunningStatistics& running, const Tensor& mean,
                           const Tensor& inv_std, const Tensor& out, const Tensor& winners) {
  packed::batch_statistics(x, eps, running, mean, inv_std);
  packed::visit(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const ChannelGrid grid = packed::grid_of<T>(context, out);
    launch(batch_norm_pool_forward_packed_kernel<T>, grid.grid(), context, grid,
           windows_of(problem, detail::Layout::channels_last), packed::images<T>(x),
           packed::transform_of(mean, inv_std, weight, bias), packed::images<T>(out),
           elements<PackWinners<T>>(winners));
  });
}

void batch_norm_pool_backward(const kernel::PoolProblem& problem, const Tensor& grad, const Tensor& winners,
                              const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                              const Tensor& inv_std, const kernel::BatchNormGradients& out) {
  packed::visit(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(x);
    const ChannelGrid grid = packed::grid_of<T>(context, x);
    const int64_t channels = grid.packs * Pack<T>::width;
    const Scratch scratch(context, 2 * channels * static_cast<int64_t>(sizeof(float)));
    float* const offsets = scratch.as<float>();
    float* const slopes = offsets + channels;
    const ChannelTransform<float> constants = packed::transform_of(mean, inv_std, weight, bias);
    const GradientSums<T> sums{constants, packed::store_gradients(out), static_cast<double>(grid.rows), offsets,
                               slopes};
    const PooledGradient<T> pooled{windows_of(problem, detail::Layout::channels_last), packed::images<T>(grad),
                                   elements<PackWinners<T>>(winners), packed::images<T>(x)};
    reduce_channels_last(context, grid, PooledGradientMoments<T>{sums, pooled});
    if (!out.input.defined()) return;
    launch(batch_norm_pool_backward_packed_kernel<T>, grid.grid(), context, grid, pooled, constants, offsets, slopes,
           elements<T>(out.input), out.accumulate_input);
  });
}

}  // namespace dnn::cuda
