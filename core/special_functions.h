// More functions of core/math.h's kind: rounding, powers, remainders, log1p, expm1, erf, sine and cosine.
//
// As there, the float versions of erf, log1p and expm1 are polynomials that the compiler vectorises. Powers, remainders
// and the trigonometric functions are the standard library's: exact reduction of large arguments needs table look-ups,
// with which a loop of ours is no faster than sinf.
#pragma once

#include "core/math.h"

namespace dnn::math {

DNN_HD float floor(float x) { return ::floorf(x); }
DNN_HD double floor(double x) { return ::floor(x); }
DNN_HD float ceil(float x) { return ::ceilf(x); }
DNN_HD double ceil(double x) { return ::ceil(x); }
// Halves to the even neighbour.
DNN_HD float round(float x) { return ::rintf(x); }
DNN_HD double round(double x) { return ::rint(x); }
// Integers are whole already.
template <class T>
requires std::is_integral_v<T> DNN_HD T floor(T x) { return x; }
template <class T>
requires std::is_integral_v<T> DNN_HD T ceil(T x) { return x; }
template <class T>
requires std::is_integral_v<T> DNN_HD T round(T x) { return x; }

DNN_HD float pow(float x, float y) { return ::powf(x, y); }
DNN_HD double pow(double x, double y) { return ::pow(x, y); }
// By squaring, wrapping around; for a negative y the fraction is cut off.
template <class T>
requires std::is_integral_v<T> DNN_HD T pow(T x, T y) {
  if constexpr (std::is_signed_v<T>) {
    if (y < 0) return x == 1 ? T(1) : x == -1 ? ((y & 1) != 0 ? T(-1) : T(1)) : T(0);
  }
  T result = 1;
  for (; y != 0; y = static_cast<T>(y >> 1)) {
    if ((y & 1) != 0) result = mul(result, x);
    x = mul(x, x);
  }
  return result;
}

// a - b * floor(a / b): Python's %, with the sign of b. The integer forms give 0 for b = 0.
template <class T>
DNN_HD T remainder(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;  // the smallest number has no opposite
      const T r = static_cast<T>(a % b);
      return r != 0 && (r < 0) != (b < 0) ? static_cast<T>(r + b) : r;
    } else {
      return static_cast<T>(a % b);
    }
  } else {
    const T r = std::is_same_v<T, float> ? static_cast<T>(::fmodf(static_cast<float>(a), static_cast<float>(b)))
                                         : static_cast<T>(::fmod(static_cast<double>(a), static_cast<double>(b)));
    return r != T(0) && (r < T(0)) != (b < T(0)) ? r + b : r;
  }
}

// floor(a / b), by way of the remainder, so that it fits that to the last bit.
template <class T>
DNN_HD T floor_divide(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return sub(T(0), a);
      const T quotient = static_cast<T>(a / b);
      return a % b != 0 && (a < 0) != (b < 0) ? static_cast<T>(quotient - 1) : quotient;
    } else {
      return static_cast<T>(a / b);
    }
  } else {
    const T quotient = a / b;
    if (b == T(0)) return quotient;
    const T whole = (a - remainder(a, b)) / b;
    const T floored = floor(whole);
    return whole == T(0) ? T(0) * quotient : whole - floored > T(0.5) ? floored + T(1) : floored;
  }
}

DNN_HD float atan2(float y, float x) { return ::atan2f(y, x); }
DNN_HD double atan2(double y, double x) { return ::atan2(y, x); }

DNN_HD double log1p(double x) { return ::log1p(x); }
DNN_HD double expm1(double x) { return ::expm1(x); }
DNN_HD double erf(double x) { return ::erf(x); }
DNN_HD float sin(float x) { return ::sinf(x); }
DNN_HD float cos(float x) { return ::cosf(x); }
DNN_HD double sin(double x) { return ::sin(x); }
DNN_HD double cos(double x) { return ::cos(x); }

#ifdef __CUDA_ARCH__

DNN_HD float log1p(float x) { return ::log1pf(x); }
DNN_HD float expm1(float x) { return ::expm1f(x); }
DNN_HD float erf(float x) { return ::erff(x); }

#else

// log(1 + x): what the sum lost is made good by the factor x / ((1 + x) - 1) (Goldberg, "What every computer scientist
// should know about floating-point arithmetic", 1991, theorem 4).
DNN_HD float log1p(float x) {
  const float sum = 1.0f + x;
  const float kept = sum - 1.0f;
  const float value = log(sum) * (x / (kept == 0.0f ? 1.0f : kept));
  const float infinity = detail::bits_float(0x7f800000u);
  return kept == 0.0f ? x : x == infinity ? x : value;
}

// 2^n (e^r - 1) + (2^n - 1), with the reduction and the polynomial of exp.
DNN_HD float expm1(float x) {
  const float clamped = x < -40.0f ? -40.0f : x > 40.0f ? 40.0f : x;
  const float n = (clamped * 1.44269504088896341f + 12582912.0f) - 12582912.0f;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float value = p * r * r + r;
  const int32_t exponent = static_cast<int32_t>(n == n ? n : 0.0f);
  const float scale = detail::bits_float(static_cast<uint32_t>(exponent + 127) << 23);
  const float near_zero = scale * value + (scale - 1.0f);
  const float signed_zero = x == 0.0f ? x : near_zero;
  return x > 20.0f ? exp(x) : signed_zero;
}

// Near 0 an odd polynomial, elsewhere 1 - e^(t q(t)); both fitted to half a unit in the last place.
DNN_HD float erf(float x) {
  const uint32_t sign = detail::float_bits(x) & 0x80000000u;
  const float magnitude = detail::bits_float(detail::float_bits(x) ^ sign);
  const float square = magnitude * magnitude;
  float p = -5.9596397e-4f;
  p = p * square + 4.9870997e-3f;
  p = p * square - 2.6762510e-2f;
  p = p * square + 1.1281704e-1f;
  p = p * square - 3.7612483e-1f;
  p = p * square + 1.2837915e-1f;
  const float near_zero = p * magnitude + magnitude;
  const float t = magnitude > 4.0f ? 4.0f : magnitude;  // NaN stays NaN
  float q = -1.1231466e-5f;
  q = q * t + 3.2280540e-4f;
  q = q * t - 3.6424650e-3f;
  q = q * t + 2.3762075e-2f;
  q = q * t - 1.0623689e-1f;
  q = q * t - 6.3515133e-1f;
  q = q * t - 1.1286485f;
  const float far = 1.0f - exp(q * t);
  return detail::bits_float(detail::float_bits(magnitude < 0.9287f ? near_zero : far) | sign);
}

#endif

}  // namespace dnn::math
