// Local response normalisation over neighbouring channels of plain images.
//
// A task is a tile of neighbouring pixels of one image; it walks over the channels, whose rows of the tile stay in the
// first-level cache for all windows that hold them. Windows are summed anew for each channel: a running sum would lose
// digits.
#pragma once

#include "core/cpu/simd/norm.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

using kernel::ResponseNormProblem;

inline constexpr int64_t response_pixels = 128;

// x^-beta; the power of AlexNet takes two square roots.
template <bool three_quarters, class C>
[[gnu::always_inline]] inline C inverse_power(C x, C beta) {
  if constexpr (three_quarters) {
    const C root = C(1) / math::sqrt(x);
    return root * math::sqrt(root);
  } else {
    return math::exp(-beta * math::log(x));
  }
}

// Calls body(offset, pixels) for the tiles of all images, offset being that of the first channel.
template <class Body>
[[gnu::always_inline]] inline void for_response_tiles(const ResponseNormProblem& p, const Body& body) {
  const int64_t tiles = ceil_div(p.inner, response_pixels);
  parallel(p.outer * tiles, p.outer * p.channels * p.inner, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t pixel = task % tiles * response_pixels;
      body(task / tiles * p.channels * p.inner + pixel, smaller(response_pixels, p.inner - pixel));
    }
  });
}

// The channels that lie within a window.
struct ChannelRange {
  int64_t begin, end;
};
[[gnu::always_inline]] inline ChannelRange channels_around(const ResponseNormProblem& p, int64_t c, int64_t before,
                                                           int64_t after) {
  return {c < before ? 0 : c - before, p.channels - c <= after ? p.channels : c + after + 1};
}

template <bool three_quarters, class T>
void response_norm_tile(const ResponseNormProblem& p, const T* x, Compute<T>* divisor, T* out, int64_t pixels) {
  using C = Compute<T>;
  const C k = static_cast<C>(p.k), factor = static_cast<C>(p.factor), beta = static_cast<C>(p.beta);
  for (int64_t c = 0; c < p.channels; ++c) {
    C sum[response_pixels] = {};
    const ChannelRange window = channels_around(p, c, p.before, p.after);
    for (int64_t other = window.begin; other < window.end; ++other) {
      const T* const from = x + other * p.inner;
#pragma omp simd
      for (int64_t i = 0; i < pixels; ++i) sum[i] += load(from, i) * load(from, i);
    }
    const T* const from = x + c * p.inner;
    C* const divisors = divisor + c * p.inner;
    T* const to = out + c * p.inner;
#pragma omp simd
    for (int64_t i = 0; i < pixels; ++i) {
      divisors[i] = k + factor * sum[i];
      store(to, i, load(from, i) * inverse_power<three_quarters>(divisors[i], beta));
    }
  }
}

inline void response_norm_forward(const ResponseNormProblem& p, const Tensor& x, const Tensor& divisor,
                                  const Tensor& out) {
  visit_floating("local_response_norm", x.dtype(), [&]<class T>(Type<T>) {
    const T* const from = pointer<T>(x);
    Compute<T>* const divisors = pointer<Compute<T>>(divisor);
    T* const to = pointer<T>(out);
    for_response_tiles(p, [&](int64_t offset, int64_t pixels) {
      if (p.beta == 0.75) {
        response_norm_tile<true>(p, from + offset, divisors + offset, to + offset, pixels);
      } else {
        response_norm_tile<false>(p, from + offset, divisors + offset, to + offset, pixels);
      }
    });
  });
}

// g divisor^-beta - 2 factor beta x * (sum of g y / divisor over the channels whose windows hold this one).
template <bool three_quarters, bool accumulate, class T>
void response_norm_backward_tile(const ResponseNormProblem& p, const T* grad, const T* x, const T* y,
                                 const Compute<T>* divisor, T* out, int64_t pixels) {
  using C = Compute<T>;
  const C beta = static_cast<C>(p.beta), slope = static_cast<C>(2 * p.factor * p.beta);
  for (int64_t c = 0; c < p.channels; ++c) {
    C sum[response_pixels] = {};
    const ChannelRange windows = channels_around(p, c, p.after, p.before);
    for (int64_t other = windows.begin; other < windows.end; ++other) {
      const T *const g = grad + other * p.inner, *const result = y + other * p.inner;
      const C* const divisors = divisor + other * p.inner;
#pragma omp simd
      for (int64_t i = 0; i < pixels; ++i) sum[i] += load(g, i) * load(result, i) / divisors[i];
    }
    const int64_t first = c * p.inner;
#pragma omp simd
    for (int64_t i = 0; i < pixels; ++i) {
      put<accumulate>(out + first, i,
                      load(grad + first, i) * inverse_power<three_quarters>(divisor[first + i], beta) -
                          slope * load(x + first, i) * sum[i]);
    }
  }
}

inline void response_norm_backward(const ResponseNormProblem& p, const Tensor& grad, const Tensor& x, const Tensor& y,
                                   const Tensor& divisor, const Tensor& grad_input, bool accumulate) {
  visit_floating("local_response_norm", x.dtype(), [&]<class T>(Type<T>) {
    const T *const g = pointer<T>(grad), *const from = pointer<T>(x), *const result = pointer<T>(y);
    const Compute<T>* const divisors = pointer<Compute<T>>(divisor);
    T* const to = pointer<T>(grad_input);
    const auto run = [&]<bool three_quarters, bool add>() {
      for_response_tiles(p, [&](int64_t i, int64_t pixels) {
        response_norm_backward_tile<three_quarters, add>(p, g + i, from + i, result + i, divisors + i, to + i, pixels);
      });
    };
    if (p.beta == 0.75) {
      accumulate ? run.template operator()<true, true>() : run.template operator()<true, false>();
    } else {
      accumulate ? run.template operator()<false, true>() : run.template operator()<false, false>();
    }
  });
}

inline void install_response_norm() {
  kernel::response_norm_forward.set(DeviceType::cpu, response_norm_forward);
  kernel::response_norm_backward.set(DeviceType::cpu, response_norm_backward);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
