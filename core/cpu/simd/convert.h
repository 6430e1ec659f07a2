// Conversion of one element to another type, PyTorch's way, rounded once.
#pragma once

#include "core/cpu/simd/common.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

// To float rounded "to odd": towards zero, and the last bit set when anything was cut off. A second rounding, to fewer
// bits, then gives what rounding the exact value would have given (Boldo & Melquiond, 2008).
[[gnu::always_inline]] inline float round_to_odd(double x) {
  const float nearest = static_cast<float>(x);
  const double back = static_cast<double>(nearest);
  const double magnitude = x < 0 ? -x : x;
  const double reached = back < 0 ? -back : back;
  const uint32_t bits = detail::float_bits(nearest);
  const uint32_t towards_zero = reached > magnitude ? bits - 1 : bits;
  return detail::bits_float(back == x ? bits : towards_zero | 1u);
}

// Fractions are cut towards zero, bool is "not zero". What an integer type cannot hold gives some value, as in PyTorch.
template <class To, class From>
[[gnu::always_inline]] inline To convert(const From& from) {
  const auto value = static_cast<Compute<From>>(from);
  if constexpr (std::is_same_v<To, From>) {
    return from;
  } else if constexpr (std::is_same_v<To, bool>) {
    return value != 0;
  } else if constexpr (is_16bit<To> && (sizeof(From) == 8 || std::is_same_v<From, int32_t>)) {
    return To(round_to_odd(static_cast<double>(value)));
  } else if constexpr (is_16bit<To>) {
    return To(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, uint8_t> && is_fractional<From>) {
    return static_cast<uint8_t>(static_cast<int64_t>(value));  // a negative number has no direct conversion
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
