// Conversion of one element to another type, as on the CPU: rounded once, fractions cut towards zero, bool is "not
// zero".
#pragma once

#include <type_traits>

#include "cuda/vector.cuh"

namespace dnn::cuda {

template <class T>
inline constexpr bool is_16bit = !std::is_same_v<Compute<T>, T>;

// To float, rounded towards zero with the last bit set when anything was cut off: rounding that to 16 bits gives what
// rounding the exact value would have given (Boldo & Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
__host__ __device__ inline float round_to_odd(double x) {
  const float nearest = static_cast<float>(x);
  const double back = static_cast<double>(nearest);
  if (back == x || x != x) return nearest;
  const bool beyond = (back < 0 ? -back : back) > (x < 0 ? -x : x);
  const uint32_t bits = detail::float_bits(nearest);
  return detail::bits_float((beyond ? bits - 1 : bits) | 1u);
}

template <class To, class From>
__host__ __device__ inline To convert(const From& from) {
  const auto value = static_cast<Compute<From>>(from);
  if constexpr (std::is_same_v<To, From>)
    return from;
  else if constexpr (std::is_same_v<To, bool>)
    return value != 0;
  else if constexpr (is_16bit<To> && (sizeof(From) == 8 || std::is_same_v<From, int32_t>))
    return To(round_to_odd(static_cast<double>(value)));
  else if constexpr (is_16bit<To>)
    return To(static_cast<float>(value));
  else if constexpr (std::is_same_v<To, uint8_t> && std::is_floating_point_v<Compute<From>>)
    return static_cast<uint8_t>(static_cast<int64_t>(value));
  else
    return static_cast<To>(value);
}

}  // namespace dnn::cuda
