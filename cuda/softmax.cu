// Softmax and its logarithm over the middle of [outer, n, inner].
//
// A row is the n elements of one (outer, inner). Where they are neighbours in memory, a warp (a block when n is large)
// shares a row: it finds the maximum, then the sum of exponentials, then writes; the second and third reading come out
// of the cache. Where they are `inner` apart, each thread has a row of its own, next to its neighbours' rows.
#include "core/math.h"
#include "cuda/dispatch.h"
#include "cuda/kernels.h"
#include "cuda/rows.cuh"

namespace dnn::cuda {

namespace {

int softmax_lanes(const kernel::ReduceShape& shape) { return shape.inner > 1 ? 1 : lanes_for(shape.n); }

__device__ int64_t row_offset(const kernel::ReduceShape& shape, int64_t row) {
  return row / shape.inner * shape.n * shape.inner + row % shape.inner;
}

}  // namespace

template <int lanes, class T>
__global__ void softmax_forward_kernel(const T* x, kernel::ReduceShape shape, bool logarithm, T* y) {
  using C = Compute<T>;
  for (int64_t row = Group<lanes>::first_row(); row < shape.outer * shape.inner; row += Group<lanes>::row_step()) {
    const int64_t offset = row_offset(shape, row);
    const auto [maximum, sum] = exponential_sum<lanes>(x + offset, shape.n, shape.inner);
    const C top = maximum, factor = C(1) / sum, log_sum = math::log(sum);
    map_row<lanes>(y + offset, shape.n, shape.inner, false, x + offset, x + offset, [&](int64_t, C value, C) {
      return logarithm ? value - top - log_sum : math::exp(value - top) * factor;
    });
  }
}

void softmax_forward(const Tensor& x, const kernel::ReduceShape& shape, bool logarithm, const Tensor& y) {
  visit_floating(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(y);
    const int lanes = softmax_lanes(shape);
    const auto kernel = lanes == 1    ? softmax_forward_kernel<1, T>
                        : lanes == 32 ? softmax_forward_kernel<32, T>
                                      : softmax_forward_kernel<256, T>;
    launch(kernel, context.grid(shape.outer * shape.inner * lanes), context, elements<T>(x), shape, logarithm,
           elements<T>(y));
  });
}

// Softmax: y (grad - sum(grad y)); its logarithm: grad - exp(y) sum(grad).
template <int lanes, class T>
__global__ void softmax_backward_kernel(const T* grad, const T* y, kernel::ReduceShape shape, bool logarithm, T* out,
                                        bool accumulate) {
  using C = Compute<T>;
  for (int64_t row = Group<lanes>::first_row(); row < shape.outer * shape.inner; row += Group<lanes>::row_step()) {
    const int64_t offset = row_offset(shape, row);
    C sum = 0;
    for (int64_t j = Group<lanes>::lane(); j < shape.n; j += lanes) {
      const C gradient = static_cast<C>(grad[offset + j * shape.inner]);
      sum += logarithm ? gradient : gradient * static_cast<C>(y[offset + j * shape.inner]);
    }
    sum = Group<lanes>::reduce(sum, C(0), Sum{});
    map_row<lanes>(out + offset, shape.n, shape.inner, accumulate, grad + offset, y + offset,
                   [&](int64_t, C gradient, C value) {
                     return logarithm ? gradient - math::exp(value) * sum : value * (gradient - sum);
                   });
  }
}

void softmax_backward(const Tensor& grad, const Tensor& y, const kernel::ReduceShape& shape, bool logarithm,
                      const Tensor& out, bool accumulate) {
  visit_floating(out.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const int lanes = softmax_lanes(shape);
    const auto kernel = lanes == 1    ? softmax_backward_kernel<1, T>
                        : lanes == 32 ? softmax_backward_kernel<32, T>
                                      : softmax_backward_kernel<256, T>;
    launch(kernel, context.grid(shape.outer * shape.inner * lanes), context, elements<T>(grad), elements<T>(y), shape,
           logarithm, elements<T>(out), accumulate);
  });
}

}  // namespace dnn::cuda
