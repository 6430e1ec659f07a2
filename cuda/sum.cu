// Sums over dimensions, and over everything but the channels of images.
//
// 16-bit types are summed in float, float32 in float64 (which costs nothing beside the reading), integers in 64 bits
// that wrap around. A thread sums what it reads one after another; the threads' sums are combined pairwise.
#include "cuda/channels.cuh"
#include "cuda/convert.cuh"
#include "cuda/dispatch.h"
#include "cuda/kernels.h"
#include "cuda/layout.cuh"
#include "cuda/reduction.cuh"

namespace dnn::cuda {

template <class T>
using Total = std::conditional_t<is_16bit<T>, float, std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>>;

// out = scale * sum(x) (+ out when `accumulate`).
template <class T, class Out>
struct SumOp {
  using State = Total<T>;
  static constexpr int width = Pack<T>::width;

  const T* x;
  Out* out;
  double scale;
  bool accumulate;

  __device__ State neutral() const { return State(0); }
  __device__ State operator()(const State& a, const State& b) const { return a + b; }
  __device__ State fold(State state, int64_t row, int64_t n, int64_t i) const {
    for (const T& value : load_vec(x + row * n, i, n).values) state += static_cast<State>(value);
    return state;
  }
  __device__ State element(int64_t offset, int64_t) const { return static_cast<State>(x[offset]); }
  __device__ void store(int64_t index, const State& state) const {
    State scaled = state;
    if constexpr (std::is_floating_point_v<State>)
      scaled *= static_cast<State>(scale);
    else if (scale != 1)
      scaled = static_cast<State>(scale * static_cast<double>(static_cast<int64_t>(state)));
    out[index] = static_cast<Out>(accumulate ? static_cast<State>(out[index]) + scaled : scaled);
  }
};

// The sums over the rows of images whose channels lie side by side in packs.
template <class T>
struct ChannelTotals {
  static constexpr int width = Pack<T>::width;
  struct State {
    Total<T> sum[width];
  };
  const T* x;
  T* out;
  bool accumulate;

  __device__ State neutral() const { return {}; }
  __device__ State fold(const ChannelGrid&, const ChannelLane& at) const {
    State state{};
    at.each<4>([&](auto batch, int64_t index) {
      constexpr int n = batch;
      const PackRows<T, n> values(x, index, at.stride);
      unrolled<n>(
          [&](int i) { unrolled<width>([&](int k) { state.sum[k] += static_cast<Total<T>>(values.at(i, k)); }); });
    });
    return state;
  }
  __device__ State operator()(const State& a, const State& b) const {
    State both;
    unrolled<width>([&](int k) { both.sum[k] = a.sum[k] + b.sum[k]; });
    return both;
  }
  __device__ void store(int64_t pack, const State& state) const {
    unrolled<width>([&](int k) {
      const int64_t c = pack * width + k;
      out[c] = static_cast<T>(accumulate ? static_cast<Total<T>>(out[c]) + state.sum[k] : state.sum[k]);
    });
  }
};

void reduce_sum(const Tensor& x, const kernel::ReduceShape& shape, double scale, const Tensor& out, bool accumulate) {
  visit_all(x.dtype(), [&]<class T>(T) {
    using Out = std::conditional_t<is_floating(dtype_of<T>), T, int64_t>;
    reduce(Context::of(out), shape, SumOp<T, Out>{elements<T>(x), elements<Out>(out), scale, accumulate});
  });
}

void channel_sum(const Tensor& x, const Tensor& out, bool accumulate) {
  if (packed::fit(Context::of(out), {x})) {
    return visit_types<float, float16, bfloat16>(x.dtype(), [&]<class T>(T) {
      Context& context = Context::of(out);
      const Images images = images_of(x);
      const ChannelGrid grid = channel_grid(context, images.n * images.pixels, images.channels / Pack<T>::width, 4);
      reduce_channels_last(context, grid, ChannelTotals<T>{elements<T>(x), elements<T>(out), accumulate});
    });
  }
  visit_floating(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const Images images = images_of(x);
    const T* from = elements<T>(x);
    T* to = elements<T>(out);
    if (images.layout == detail::Layout::channels_last) {
      reduce(context, {1, images.n * images.pixels, images.channels}, SumOp<T, T>{from, to, 1, accumulate});
      return;
    }
    // First the pixels of each image and channel, then the images.
    using Sum = Total<T>;
    const int64_t block = images.block(), groups = images.n * (images.channels / block);
    const Scratch sums(context, images.n * images.channels * static_cast<int64_t>(sizeof(Sum)));
    reduce(context, {groups, images.pixels, block}, SumOp<T, Sum>{from, sums.as<Sum>(), 1, false});
    reduce(context, {1, images.n, images.channels}, SumOp<Sum, T>{sums.as<Sum>(), to, 1, accumulate});
  });
}

}  // namespace dnn::cuda
