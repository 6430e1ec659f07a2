// Elementary functions for both devices and every element type.
//
// On the CPU the float versions are polynomials that the compiler vectorises (calls to expf it does not); they agree
// with the exact value within 2 units in the last place. double and the GPU use the standard library's. Integer
// arithmetic wraps around as in PyTorch: signed overflow would be undefined, so it goes through the unsigned type.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "dnn/float16.h"

namespace dnn::math {

template <class T>
DNN_HD T add(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
  } else {
    return a + b;
  }
}

template <class T>
DNN_HD T sub(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) - static_cast<U>(b));
  } else {
    return a - b;
  }
}

template <class T>
DNN_HD T mul(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) * static_cast<U>(b));
  } else {
    return a * b;
  }
}

// A host number as an element; by way of int64, since a negative double has no value in an unsigned type.
template <class T>
DNN_HD T number(double value) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<int64_t>(value));
  } else {
    return static_cast<T>(value);
  }
}

DNN_HD double exp(double x) { return ::exp(x); }
DNN_HD double log(double x) { return ::log(x); }
DNN_HD double sqrt(double x) { return ::sqrt(x); }
DNN_HD double tanh(double x) { return ::tanh(x); }
DNN_HD float sqrt(float x) { return ::sqrtf(x); }

#ifdef __CUDA_ARCH__

DNN_HD float exp(float x) { return ::expf(x); }
DNN_HD float log(float x) { return ::logf(x); }
DNN_HD float tanh(float x) { return ::tanhf(x); }
DNN_HD void sin_cos_turns(float x, float& sine, float& cosine) { ::sincospif(2.0f * x, &sine, &cosine); }

#else

// e^x = 2^n e^r with |r| <= ln 2 / 2; the polynomial is Cephes' for e^r.
DNN_HD float exp(float x) {
  const float clamped = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;  // NaN passes both comparisons
  const float shifted = clamped * 1.44269504088896341f + 12582912.0f;   // adding 1.5 * 2^23 rounds to an integer
  const float n = shifted - 12582912.0f;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float value = p * r * r + r + 1.0f;
  // Two factors, since 2^n alone leaves the range of float at both ends.
  const int32_t exponent = static_cast<int32_t>(n == n ? n : 0.0f);
  const int32_t half = exponent >> 1;
  const float scale0 = detail::bits_float(static_cast<uint32_t>(half + 127) << 23);
  const float scale1 = detail::bits_float(static_cast<uint32_t>(exponent - half + 127) << 23);
  return value * scale0 * scale1;
}

// log x = n ln 2 + log m with m in [sqrt(1/2), sqrt(2)); the polynomial is Cephes' for log(1 + r).
DNN_HD float log(float x) {
  const bool subnormal = x < 1.17549435e-38f;
  const float scaled = subnormal ? x * 8388608.0f : x;
  const uint32_t bits = detail::float_bits(scaled) - 0x3f3504f3u;  // relative to sqrt(1/2)
  const float n = static_cast<float>(static_cast<int32_t>(bits) >> 23) - (subnormal ? 23.0f : 0.0f);
  const float r = detail::bits_float((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
  float p = 7.0376836292e-2f;
  p = p * r - 1.1514610310e-1f;
  p = p * r + 1.1676998740e-1f;
  p = p * r - 1.2420140846e-1f;
  p = p * r + 1.4249322787e-1f;
  p = p * r - 1.6668057665e-1f;
  p = p * r + 2.0000714765e-1f;
  p = p * r - 2.4999993993e-1f;
  p = p * r + 3.3333331174e-1f;
  const float square = r * r;
  float value = p * r * square + n * -2.12194440e-4f - 0.5f * square;
  value = r + value + n * 0.693359375f;
  const float infinity = detail::bits_float(0x7f800000u);
  const float nan = detail::bits_float(0x7fc00000u);
  return x == infinity ? infinity : x == 0.0f ? -infinity : x > 0.0f ? value : nan;
}

// Odd polynomial near 0, where 1 - 2 / (e^2x + 1) would cancel; both sides are computed so that it vectorises.
DNN_HD float tanh(float x) {
  const uint32_t sign = detail::float_bits(x) & 0x80000000u;
  const float magnitude = detail::bits_float(detail::float_bits(x) ^ sign);
  const float square = magnitude * magnitude;
  float p = -5.70498872745e-3f;
  p = p * square + 2.06390887954e-2f;
  p = p * square - 5.37397155531e-2f;
  p = p * square + 1.33314422036e-1f;
  p = p * square - 3.33332819422e-1f;
  const float near_zero = p * square * magnitude + magnitude;
  const float far = 1.0f - 2.0f / (exp(2.0f * magnitude) + 1.0f);
  return detail::bits_float(detail::float_bits(magnitude < 0.625f ? near_zero : far) | sign);
}

// Sine and cosine of 2 pi x for 0 <= x <= 1: the nearest quarter turn is taken off, which is exact; the polynomials are
// Cephes' for an eighth of a turn to either side.
DNN_HD void sin_cos_turns(float x, float& sine, float& cosine) {
  const int32_t quarter = static_cast<int32_t>(x * 4.0f + 0.5f);
  const float r = (x - static_cast<float>(quarter) * 0.25f) * 6.283185307f;
  const float square = r * r;
  const float s = ((-1.9515295891e-4f * square + 8.3321608736e-3f) * square - 1.6666654611e-1f) * square * r + r;
  const float c =
      ((2.443315711809948e-5f * square - 1.388731625493765e-3f) * square + 4.166664568298827e-2f) * square * square -
      0.5f * square + 1.0f;
  const bool swap = (quarter & 1) != 0;
  const float s0 = swap ? c : s;
  const float c0 = swap ? s : c;
  sine = (quarter & 2) != 0 ? -s0 : s0;
  cosine = ((quarter + 1) & 2) != 0 ? -c0 : c0;
}

#endif

// A random word as a number in [0, 1). It keeps as many bits as the type has, so that rounding never gives 1.
template <class T>
DNN_HD T uniform(uint32_t word) {
  constexpr int bits = std::is_same_v<T, float16> ? 11 : std::is_same_v<T, bfloat16> ? 8 : 24;
  return static_cast<T>(static_cast<float>(static_cast<int32_t>(word >> (32 - bits))) * (1.0f / (1 << bits)));
}

// A 64-bit random word as a whole number below `count`: the upper half of their product, in pieces of 32 bits.
DNN_HD uint64_t below(uint64_t word, uint64_t count) {
  const uint64_t word0 = word & 0xffffffffu, word1 = word >> 32, count0 = count & 0xffffffffu, count1 = count >> 32;
  const uint64_t middle = word1 * count0 + (word0 * count0 >> 32);
  return word1 * count1 + (middle >> 32) + (((middle & 0xffffffffu) + word0 * count1) >> 32);
}

// Two random words as two independent normal numbers (Box & Muller, "A note on the generation of random normal
// deviates", 1958): radius sqrt(-2 log u) with u = (word0 + 1/2) / 2^32 > 0, angle word1 / 2^32 of a turn.
DNN_HD void box_muller(uint32_t word0, uint32_t word1, float& normal0, float& normal1) {
  const float u = (static_cast<float>(word0) + 0.5f) * 0x1p-32f;
  const float radius = sqrt(-2.0f * log(u));
  float sine = 0, cosine = 0;
  sin_cos_turns(static_cast<float>(word1) * 0x1p-32f, sine, cosine);
  normal0 = radius * cosine;
  normal1 = radius * sine;
}

}  // namespace dnn::math
