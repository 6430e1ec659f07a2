// Sums over dimensions, and over everything but the channels of images.
//
// 16-bit types are summed in float, integers in int64. A thread sums what it reads one after another, and the threads'
// sums are combined pairwise, so that the error grows with the length of a thread's share only.
#include "cuda/dispatch.h"
#include "cuda/kernels.h"
#include "cuda/layout.cuh"
#include "cuda/reduction.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

// out = scale * sum(x) (+ out when `accumulate`).
template <class T, class Accumulator, class Out>
struct SumOp {
  using State = Accumulator;
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
    const State scaled = scale == 1 ? state : static_cast<State>(static_cast<Compute<State>>(scale) * state);
    out[index] = static_cast<Out>(accumulate ? static_cast<State>(out[index]) + scaled : scaled);
  }
};

void reduce_sum(const Tensor& x, const kernel::ReduceShape& shape, double scale, const Tensor& out, bool accumulate) {
  visit_all(x.dtype(), [&]<class T>(T) {
    constexpr bool floating = is_floating(dtype_of<T>);
    using Accumulator = std::conditional_t<floating, Compute<T>, int64_t>;
    using Out = std::conditional_t<floating, T, int64_t>;
    reduce(Context::of(out), shape,
           SumOp<T, Accumulator, Out>{elements<T>(x), elements<Out>(out), scale, accumulate});
  });
}

void channel_sum(const Tensor& x, const Tensor& out, bool accumulate) {
  visit_floating(x.dtype(), [&]<class T>(T) {
    using Accumulator = Compute<T>;
    Context& context = Context::of(out);
    const Images images = images_of(x);
    if (images.layout == detail::Layout::channels_last) {
      reduce(context, {1, images.n * images.pixels, images.channels},
             SumOp<T, Accumulator, T>{elements<T>(x), elements<T>(out), 1, accumulate});
      return;
    }
    // First the pixels of each image and channel, then the images.
    const int64_t block = images.block();
    const Scratch sums(context, images.n * images.channels * static_cast<int64_t>(sizeof(Accumulator)));
    reduce(context, {images.n * (images.channels / block), images.pixels, block},
           SumOp<T, Accumulator, Accumulator>{elements<T>(x), sums.as<Accumulator>(), 1, false});
    reduce(context, {1, images.n, images.channels},
           SumOp<Accumulator, Accumulator, T>{sums.as<Accumulator>(), elements<T>(out), 1, accumulate});
  });
}

}  // namespace dnn::cuda
