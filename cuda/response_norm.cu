// Local response normalisation over neighbouring channels of plain images: a thread per element, neighbouring threads
// on neighbouring pixels; the channels of a window come out of the cache.
#include "core/math.h"
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/vector.cuh"

namespace dnn::cuda {

using kernel::ResponseNormProblem;

namespace {

template <class C>
__device__ C inverse_power(C x, C beta) {
  return math::exp(-beta * math::log(x));
}

// The offsets [begin, end) by `inner` of the channels from c - before to c + after of element i.
struct ChannelOffsets {
  int64_t begin, end;
};
__device__ ChannelOffsets offsets_around(const ResponseNormProblem& p, int64_t i, int64_t before, int64_t after) {
  const int64_t c = i / p.inner % p.channels, first = i - c * p.inner;
  const int64_t begin = c < before ? 0 : c - before, end = p.channels - c <= after ? p.channels : c + after + 1;
  return {first + begin * p.inner, first + end * p.inner};
}

}  // namespace

template <class T>
__global__ void response_norm_forward_kernel(ResponseNormProblem p, const T* x, Compute<T>* divisor, T* out) {
  using C = Compute<T>;
  for (const auto i : grid_stride(p.outer * p.channels * p.inner)) {
    const ChannelOffsets window = offsets_around(p, i, p.before, p.after);
    C sum = 0;
    for (int64_t j = window.begin; j < window.end; j += p.inner) {
      const C value = static_cast<C>(x[j]);
      sum += value * value;
    }
    const C total = static_cast<C>(p.k) + static_cast<C>(p.factor) * sum;
    divisor[i] = total;
    out[i] = static_cast<T>(static_cast<C>(x[i]) * inverse_power(total, static_cast<C>(p.beta)));
  }
}

void response_norm_forward(const ResponseNormProblem& problem, const Tensor& x, const Tensor& divisor,
                           const Tensor& out) {
  visit_floating(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    launch(response_norm_forward_kernel<T>, context.grid(x.numel()), context, problem, elements<T>(x),
           elements<Compute<T>>(divisor), elements<T>(out));
  });
}

// g divisor^-beta - 2 factor beta x * (sum of g y / divisor over the channels whose windows hold this one).
template <class T>
__global__ void response_norm_backward_kernel(ResponseNormProblem p, const T* grad, const T* x, const T* y,
                                              const Compute<T>* divisor, T* out, bool accumulate) {
  using C = Compute<T>;
  for (const auto i : grid_stride(p.outer * p.channels * p.inner)) {
    const ChannelOffsets windows = offsets_around(p, i, p.after, p.before);
    C sum = 0;
    for (int64_t j = windows.begin; j < windows.end; j += p.inner)
      sum += static_cast<C>(grad[j]) * static_cast<C>(y[j]) / divisor[j];
    const C slope = static_cast<C>(2 * p.factor * p.beta);
    const C gradient = static_cast<C>(grad[i]) * inverse_power(divisor[i], static_cast<C>(p.beta)) -
                       slope * static_cast<C>(x[i]) * sum;
    out[i] = static_cast<T>(accumulate ? static_cast<C>(out[i]) + gradient : gradient);
  }
}

void response_norm_backward(const ResponseNormProblem& problem, const Tensor& grad, const Tensor& x, const Tensor& y,
                            const Tensor& divisor, const Tensor& grad_input, bool accumulate) {
  visit_floating(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(x);
    launch(response_norm_backward_kernel<T>, context.grid(x.numel()), context, problem, elements<T>(grad),
           elements<T>(x), elements<T>(y), elements<Compute<T>>(divisor), elements<T>(grad_input), accumulate);
  });
}

}  // namespace dnn::cuda
