// Names and promotion of element types.
#include "dnn/dtype.h"

#include <array>

#include "core/text.h"
#include "dnn/error.h"

namespace dnn {

namespace {
constexpr std::array<const char*, 8> names{"float64", "float32", "float16", "bfloat16",
                                           "int64",   "int32",   "uint8",   "bool"};
}

const char* name_of(DType type) { return names[static_cast<size_t>(type)]; }

DType parse_dtype(const std::string& name) {
  for (size_t i = 0; i < names.size(); ++i)
    if (name == names[i]) return static_cast<DType>(i);
  throw ArgumentError(fmt::format("dtype: \"{}\" is no element type, expected one of {}", name, fmt::join(names, ", ")));
}

DType promote_types(DType a, DType b) {
  if (a == b) return a;
  const bool two_halves = (a == DType::float16 && b == DType::bfloat16) || (a == DType::bfloat16 && b == DType::float16);
  if (two_halves) return DType::float32;
  return a < b ? a : b;  // the enumeration is in order of precedence
}

}  // namespace dnn
