// Running sums along the middle of [outer, n, inner].
//
// Where elements of a row are neighbours, a block takes a row, 256 elements at a time: its threads' sums are made in
// shared memory by doubling distances, on top of the sum so far. Else each thread has a row of its own, next to its
// neighbours' rows. 16-bit types are summed in float, float32 in float64, integers in 64 bits that wrap around.
#include "core/math.h"
#include "cuda/convert.cuh"
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"

namespace dnn::cuda {

template <class T>
using RunningSum =
    std::conditional_t<is_16bit<T>, float, std::conditional_t<std::is_floating_point_v<T>, double, int64_t>>;

namespace {

template <class Out, class Sum>
__device__ void put_sum(Out* out, const Sum& sum, bool accumulate) {
  *out = static_cast<Out>(accumulate ? math::add(static_cast<Sum>(*out), sum) : sum);
}

}  // namespace

template <class T, class Out>
__global__ void cumsum_rows_kernel(const T* x, int64_t rows, int64_t n, bool reverse, Out* out, bool accumulate) {
  using Sum = RunningSum<T>;
  Sum* sums = block_shared<Sum, 256>();
  const int thread = static_cast<int>(threadIdx.x);
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    Sum total = 0;
    for (int64_t begin = 0; begin < n; begin += 256) {
      const int64_t j = begin + thread, offset = row * n + (reverse ? n - 1 - j : j);
      Sum sum = j < n ? static_cast<Sum>(x[offset]) : Sum(0);
      sums[thread] = sum;
      for (int distance = 1; distance < 256; distance *= 2) {
        __syncthreads();
        const Sum before = thread >= distance ? sums[thread - distance] : Sum(0);
        __syncthreads();
        sum = math::add(sum, before);
        sums[thread] = sum;
      }
      __syncthreads();
      const Sum all = sums[255];
      __syncthreads();  // the sums have been read
      if (j < n) put_sum(out + offset, math::add(total, sum), accumulate);
      total = math::add(total, all);
    }
  }
}

template <class T, class Out>
__global__ void cumsum_columns_kernel(const T* x, kernel::ReduceShape shape, bool reverse, Out* out, bool accumulate) {
  using Sum = RunningSum<T>;
  for (const auto i : grid_stride(shape.outer * shape.inner)) {
    const int64_t start = i / shape.inner * shape.n * shape.inner + i % shape.inner;
    Sum sum = 0;
    for (int64_t j = 0; j < shape.n; ++j) {
      const int64_t offset = start + (reverse ? shape.n - 1 - j : j) * shape.inner;
      sum = math::add(sum, static_cast<Sum>(x[offset]));
      put_sum(out + offset, sum, accumulate);
    }
  }
}

void cumsum(const Tensor& x, const kernel::ReduceShape& shape, bool reverse, const Tensor& out, bool accumulate) {
  visit_all(x.dtype(), [&]<class T>(T) {
    using Out = std::conditional_t<is_floating(dtype_of<T>), T, int64_t>;
    Context& context = Context::of(out);
    if (shape.inner == 1)
      launch(cumsum_rows_kernel<T, Out>, context.grid(shape.outer * 256), context, elements<T>(x), shape.outer, shape.n,
             reverse, elements<Out>(out), accumulate);
    else
      launch(cumsum_columns_kernel<T, Out>, context.grid(shape.outer * shape.inner), context, elements<T>(x), shape,
             reverse, elements<Out>(out), accumulate);
  });
}

}  // namespace dnn::cuda
