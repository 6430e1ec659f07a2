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

// Written with selections instead of branches, so that loops over them vectorise.
DNN_HD constexpr uint16_t float_to_half(float x) {
  const uint32_t bits = float_bits(x);
  const uint32_t magnitude = bits & 0x7fffffffu;
  // Adding 0.5 lets the float unit round a subnormal result to the right bit.
  const uint32_t subnormal = float_bits(bits_float(magnitude) + 0.5f) - 0x3f000000u;
  const uint32_t normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  const uint32_t finite = magnitude < 0x38800000u ? subnormal : normal;
  const uint32_t special = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;  // NaN or infinity
  return static_cast<uint16_t>(((bits >> 16) & 0x8000u) | (magnitude < 0x477ff000u ? finite : special));
}

DNN_HD constexpr float half_to_float(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t magnitude = h & 0x7fffu;
  const uint32_t shifted = magnitude << 13;
  const uint32_t subnormal = float_bits(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  const uint32_t finite = magnitude < 0x0400u ? subnormal : shifted + 0x38000000u;
  return bits_float(sign | (magnitude < 0x7c00u ? finite : shifted | 0x7f800000u));
}

DNN_HD constexpr uint16_t float_to_bfloat(float x) {
  const uint32_t bits = float_bits(x);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const uint32_t nan = (bits >> 16) | 0x40u;
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
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
