// Local response normalisation over neighbouring channels, in plain and in channels_last layout.
//
// A window of five channels over images whose channels lie side by side in whole packs, as in AlexNet, is computed in
// registers: a thread loads its pack of channels and the two beside it, of which the caches hold what other threads
// have loaded. Divisors are not kept but computed anew in the backward pass: that reads x once more from memory, in
// place of y and a divisor of four bytes an element.
//
// Everything else takes a thread per element, whose window comes out of the cache, and keeps the divisors.
#include "core/math.h"
#include "cuda/channels.cuh"
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/vector.cuh"

namespace dnn::cuda {

using kernel::ResponseNormProblem;

// ---- any window -----------------------------------------------------------------------------------------------------

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

// ---- a window of five, in packs -------------------------------------------------------------------------------------

inline constexpr int window_reach = 2;  // to either side

// x^-beta; AlexNet's power takes two reciprocal square roots.
template <bool three_quarters>
__device__ inline float inverse_power_of(float x, float beta) {
  if (!three_quarters) return inverse_power(x, beta);
  const float root = rsqrtf(x);
  return root * root * rsqrtf(root);
}

// The channels of a pack and of those beside it, zeros beyond the first and last channel.
template <class T>
struct PackNeighbours {
  static constexpr int width = Pack<T>::width;
  Pack<T> left, own, right;

  __device__ PackNeighbours(const T* data, int64_t index, bool first, bool last) : left{}, right{} {
    const auto* packs = reinterpret_cast<const Pack<T>*>(data);
    own = packs[index];
    if (!first) left = packs[index - 1];
    if (!last) right = packs[index + 1];
  }
  // Channel k of the pack, -width <= k < 2 * width.
  __device__ float operator[](int k) const {
    const T value = k < 0 ? left.values[k + width] : k < width ? own.values[k] : right.values[k - width];
    return static_cast<float>(value);
  }
  // The sum of squares over the window around channel k.
  __device__ float squares(int k) const {
    float sum = 0;
    unrolled<2 * window_reach + 1>([&](int i) {
      const float value = (*this)[k + i - window_reach];
      sum += value * value;
    });
    return sum;
  }
};

template <class T, bool three_quarters>
__global__ void __launch_bounds__(channel_threads, channel_blocks)
    response_norm_forward_packed_kernel(ChannelGrid grid, ResponseNormProblem p, const T* x, T* out) {
  constexpr int width = Pack<T>::width;
  const ChannelLane at(grid);
  const bool first = at.pack == 0, last = at.pack == grid.packs - 1;
  const float k = static_cast<float>(p.k), factor = static_cast<float>(p.factor), beta = static_cast<float>(p.beta);
  at.each<1>([&](auto, int64_t index) {
    const PackNeighbours<T> values(x, index, first, last);
    PackRows<T, 1> result;
    unrolled<width>([&](int c) {
      const float divisor = k + factor * values.squares(c);
      result.set(0, c, values[c] * inverse_power_of<three_quarters>(divisor, beta));
    });
    result.store(out, index, 0);
  });
}

// g divisor^-beta - 2 factor beta x * (sum of g x divisor^(-beta - 1) over the channels whose windows hold this one).
template <class T, bool three_quarters>
__global__ void __launch_bounds__(channel_threads, channel_blocks)
    response_norm_backward_packed_kernel(ChannelGrid grid, ResponseNormProblem p, const T* grad, const T* x, T* out,
                                         bool accumulate) {
  constexpr int width = Pack<T>::width, reach = window_reach;
  const ChannelLane at(grid);
  const bool first = at.pack == 0, last = at.pack == grid.packs - 1;
  const float k = static_cast<float>(p.k), factor = static_cast<float>(p.factor), beta = static_cast<float>(p.beta);
  const float slope = static_cast<float>(2 * p.factor * p.beta);
  at.each<1>([&](auto, int64_t index) {
    const PackNeighbours<T> values(x, index, first, last), gradients(grad, index, first, last);
    PackRows<T, 1> result{};
    if (accumulate) result = {out, index, 0};
    float direct[width], through[width + 2 * reach];  // by the channel itself, by the divisors of its neighbours
    unrolled<width + 2 * reach>([&](int i) {
      const int c = i - reach;
      const bool beyond = (c < 0 && first) || (c >= width && last);
      const float divisor = k + factor * values.squares(c);
      const float gradient = gradients[c] * inverse_power_of<three_quarters>(divisor, beta);
      through[i] = beyond ? 0 : gradient * values[c] / divisor;
      if (c >= 0 && c < width) direct[c] = gradient;
    });
    unrolled<width>([&](int c) {
      float sum = 0;
      unrolled<2 * reach + 1>([&](int i) { sum += through[c + i]; });
      const float gradient = direct[c] - slope * values[c] * sum;
      result.set(0, c, accumulate ? result.at(0, c) + gradient : gradient);
    });
    result.store(out, index, 0);
  });
}

// ---- launchers ------------------------------------------------------------------------------------------------------

namespace {

// Whether images in channels_last are computed in packs.
bool in_packs(const ResponseNormProblem& p, const Tensor& x) {
  const int64_t width = 16 / static_cast<int64_t>(size_of(x.dtype()));
  return x.dtype() != DType::float64 && p.before == window_reach && p.after == window_reach && p.channels % width == 0;
}

template <class Visit>
void visit_packed(const ResponseNormProblem& p, DType type, const Visit& visit) {
  visit_types<float, float16, bfloat16>(type, [&]<class T>(T) {
    if (p.beta == 0.75)
      visit.template operator()<T, true>();
    else
      visit.template operator()<T, false>();
  });
}

ChannelGrid packed_grid(const Context& context, const ResponseNormProblem& p, const Tensor& x) {
  return channel_grid(context, p.outer, p.channels * static_cast<int64_t>(size_of(x.dtype())) / 16, 1);
}

}  // namespace

void response_norm_plan(const ResponseNormProblem& problem, const Tensor& x, kernel::ResponseNormPlan* plan) {
  if (detail::layout_of(x) != detail::Layout::channels_last) return;
  *plan = {detail::Layout::channels_last, !in_packs(problem, x)};
}

void response_norm_forward(const ResponseNormProblem& problem, const Tensor& x, const Tensor& divisor,
                           const Tensor& out) {
  Context& context = Context::of(out);
  if (!divisor.defined()) {
    const ChannelGrid grid = packed_grid(context, problem, x);
    return visit_packed(problem, x.dtype(), [&]<class T, bool three_quarters>() {
      launch(response_norm_forward_packed_kernel<T, three_quarters>, grid.grid(), context, grid, problem,
             elements<T>(x), elements<T>(out));
    });
  }
  visit_floating(x.dtype(), [&]<class T>(T) {
    launch(response_norm_forward_kernel<T>, context.grid(x.numel()), context, problem, elements<T>(x),
           elements<Compute<T>>(divisor), elements<T>(out));
  });
}

void response_norm_backward(const ResponseNormProblem& problem, const Tensor& grad, const Tensor& x, const Tensor& y,
                            const Tensor& divisor, const Tensor& grad_input, bool accumulate) {
  Context& context = Context::of(x);
  if (!divisor.defined()) {
    const ChannelGrid grid = packed_grid(context, problem, x);
    return visit_packed(problem, x.dtype(), [&]<class T, bool three_quarters>() {
      launch(response_norm_backward_packed_kernel<T, three_quarters>, grid.grid(), context, grid, problem,
             elements<T>(grad), elements<T>(x), elements<T>(grad_input), accumulate);
    });
  }
  visit_floating(x.dtype(), [&]<class T>(T) {
    launch(response_norm_backward_kernel<T>, context.grid(x.numel()), context, problem, elements<T>(grad),
           elements<T>(x), elements<T>(y), elements<Compute<T>>(divisor), elements<T>(grad_input), accumulate);
  });
}

}  // namespace dnn::cuda
