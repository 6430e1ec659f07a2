// The two 16-bit floating-point types, the same on every device.
//
// They are storage formats: arithmetic converts to float, computes there and rounds once, to nearest even.
#pragma once

#include <bit>
#include <cstdint>

#ifdef __CUDACC__
#define DNN_HD __host__ __device__ inline
#else
#define DNN_HD [[gnu::always_inline]] inline
#endif

namespace dnn {
namespace detail {

DNN_HD constexpr uint32_t float_bits(float x) { return std::bit_cast<uint32_t>(x); }
DNN_HD constexpr float bits_float(uint32_t x) { return std::bit_cast<float>(x); }

DNN_HD constexpr uint16_t float_to_half(float x) {
  const uint32_t bits = float_bits(x);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);   // NaN
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // rounds to infinity
  if (magnitude < 0x38800000u) {
    // Subnormal result: adding 0.5 lets the float unit round to the right bit.
    const uint32_t rounded = float_bits(bits_float(magnitude) + 0.5f) - 0x3f000000u;
    return static_cast<uint16_t>(sign | rounded);
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

DNN_HD constexpr float half_to_float(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t magnitude = h & 0x7fffu;
  if (magnitude >= 0x7c00u) return bits_float(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
  if (magnitude >= 0x0400u) return bits_float(sign | ((magnitude << 13) + 0x38000000u));
  return bits_float(sign | float_bits(static_cast<float>(magnitude) * 0x1p-24f));
}

DNN_HD constexpr uint16_t float_to_bfloat(float x) {
  const uint32_t bits = float_bits(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);  // keep NaN a NaN
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace detail

/// IEEE 754 half precision: 5 exponent bits, 10 mantissa bits.
struct float16 {
  uint16_t bits = 0;
  float16() = default;
  /// Rounds to nearest even; overflow becomes infinity.
  DNN_HD constexpr float16(float x) : bits(detail::float_to_half(x)) {}
  DNN_HD constexpr operator float() const { return detail::half_to_float(bits); }
};

/// Brain floating point: the upper half of a float, 8 exponent bits, 7 mantissa bits.
struct bfloat16 {
  uint16_t bits = 0;
  bfloat16() = default;
  /// Rounds to nearest even.
  DNN_HD constexpr bfloat16(float x) : bits(detail::float_to_bfloat(x)) {}
  DNN_HD constexpr operator float() const { return detail::bits_float(static_cast<uint32_t>(bits) << 16); }
};

}  // namespace dnn
