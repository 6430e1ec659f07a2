// Sigmoid and hyperbolic tangent of the gates of recurrent layers, cheaper than those of core/math.h: arguments are
// clamped to where the functions still move, so that one scale does for the exponential, and one quotient of
// polynomials for all of tanh. Both are within 6 units in the last place where the result is a normal number.
//
// Each is one long chain of operations. A Bundle carries several vectors through it side by side, so that the processor
// works on one while it waits for another.
#pragma once

#include "core/cpu/simd/tile.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

template <int n>
struct Bundle {
  using Part = Vector<float>;
  Part parts[n];

  Bundle() = default;
  [[gnu::always_inline]] Bundle(float value) {
    for (Part& part : parts) part = value - Part{};
  }
  // of(k) is the k-th vector.
  template <class Of>
  [[gnu::always_inline]] static Bundle make(const Of& of) {
    Bundle result;
    for (int k = 0; k < n; ++k) result.parts[k] = of(k);
    return result;
  }
  [[gnu::always_inline]] friend Bundle operator+(const Bundle& a, const Bundle& b) {
    return make([&](int k) { return a.parts[k] + b.parts[k]; });
  }
  [[gnu::always_inline]] friend Bundle operator-(const Bundle& a, const Bundle& b) {
    return make([&](int k) { return a.parts[k] - b.parts[k]; });
  }
  [[gnu::always_inline]] friend Bundle operator*(const Bundle& a, const Bundle& b) {
    return make([&](int k) { return a.parts[k] * b.parts[k]; });
  }
  [[gnu::always_inline]] friend Bundle operator/(const Bundle& a, const Bundle& b) {
    return make([&](int k) { return a.parts[k] / b.parts[k]; });
  }
};

template <class T>
[[gnu::always_inline]] inline T clamp_to(T x, float bound) {
  return x > bound ? bound : x < -bound ? -bound : x;  // NaN passes both comparisons
}

template <int n>
[[gnu::always_inline]] inline Bundle<n> clamp_to(const Bundle<n>& x, float bound) {
  const Vector<float> high = bound - Vector<float>{}, low = -high;
  return Bundle<n>::make([&](int k) {
    const Vector<float> part = x.parts[k], below = part > high ? high : part;
    return below < low ? low : below;
  });
}

// 2^n for a whole number n to which 1.5 * 2^23 has been added.
[[gnu::always_inline]] inline float power_of_two(float shifted) {
  return detail::bits_float((detail::float_bits(shifted) + 127u) << 23);
}

template <int n>
[[gnu::always_inline]] inline Bundle<n> power_of_two(const Bundle<n>& shifted) {
  typedef uint32_t Bits __attribute__((vector_size(vector_bytes)));
  return Bundle<n>::make(
      [&](int k) { return reinterpret_cast<Vector<float>>((reinterpret_cast<Bits>(shifted.parts[k]) + 127u) << 23); });
}

// 1 / (1 + e^-x), with e^-x as in math::exp. T is float or a Bundle.
template <class T>
[[gnu::always_inline]] inline T gate_sigmoid(T x) {
  x = clamp_to(x, 87.0f);
  const T shifted = 12582912.0f - x * 1.44269504088896341f;  // adding 1.5 * 2^23 rounds to an integer
  const T n = shifted - 12582912.0f;
  const T r = n * 2.12194440e-4f - (x + n * 0.693359375f);
  T p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return 1.0f / (1.0f + (p * (r * r) + (r + 1.0f)) * power_of_two(shifted));
}

// x p(x^2) / q(x^2), fitted to tanh x on [-9, 9] with a relative error of 2.1e-8; beyond that the result stays what it
// is there, one unit from 1.
template <class T>
[[gnu::always_inline]] inline T gate_tanh(T x) {
  x = clamp_to(x, 9.0f);
  const T square = x * x;
  T p = 1.3354694e-8f;
  p = p * square + 2.0609109e-5f;
  p = p * square + 3.4955899e-3f;
  p = p * square + 1.3381027e-1f;
  p = p * square + 9.9999998e-1f;
  T q = 7.7765726e-7f;
  q = q * square + 3.2856375e-4f;
  q = q * square + 2.5876989e-2f;
  q = q * square + 4.6714343e-1f;
  q = q * square + 1.0f;
  return clamp_to(x * p / q, 1.0f);
}

[[gnu::always_inline]] inline double gate_sigmoid(double x) { return 1.0 / (1.0 + math::exp(-x)); }
[[gnu::always_inline]] inline double gate_tanh(double x) { return math::tanh(x); }

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
