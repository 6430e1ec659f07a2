// Element types of tensors and what follows from them: size, name, promotion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "dnn/float16.h"

namespace dnn {

/// The element type of a tensor.
enum class DType : uint8_t { float64, float32, float16, bfloat16, int64, int32, uint8, boolean };

/// Bytes of one element.
constexpr size_t size_of(DType type) {
  switch (type) {
    case DType::float64:
    case DType::int64: return 8;
    case DType::float32:
    case DType::int32: return 4;
    case DType::float16:
    case DType::bfloat16: return 2;
    case DType::uint8:
    case DType::boolean: return 1;
  }
  return 0;
}

/// Whether the type holds fractions.
constexpr bool is_floating(DType type) { return type <= DType::bfloat16; }

/// The type's name as PyTorch writes it, e.g. "float32" or "bool".
const char* name_of(DType type);

/// The type of a name as `name_of` writes it; throws ArgumentError for any other text.
DType parse_dtype(const std::string& name);

/// The type that both convert to in an operation of two tensors, as in PyTorch: float before integer before bool,
/// the wider of two alike; float16 with bfloat16 gives float32, uint8 with a wider integer gives the wider one.
DType promote_types(DType a, DType b);

/// The DType of a C++ element type: `dtype_of<float> == DType::float32`.
template <class T>
inline constexpr DType dtype_of = [] {
  static_assert(sizeof(T) == 0, "no tensor element type");
  return DType::float32;
}();
template <>
inline constexpr DType dtype_of<double> = DType::float64;
template <>
inline constexpr DType dtype_of<float> = DType::float32;
template <>
inline constexpr DType dtype_of<float16> = DType::float16;
template <>
inline constexpr DType dtype_of<bfloat16> = DType::bfloat16;
template <>
inline constexpr DType dtype_of<int64_t> = DType::int64;
template <>
inline constexpr DType dtype_of<int32_t> = DType::int32;
template <>
inline constexpr DType dtype_of<uint8_t> = DType::uint8;
template <>
inline constexpr DType dtype_of<bool> = DType::boolean;

}  // namespace dnn
