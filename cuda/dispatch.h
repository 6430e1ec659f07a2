// From an element type known at run time to one known to the compiler: visit(T{}) for the C++ type of a DType.
#pragma once

#include <string>

#include "dnn/dtype.h"
#include "dnn/error.h"

namespace dnn::cuda {

// Calls `visit` with a value of the one of the types `Ts` that `type` names; throws DTypeError when it names none.
template <class... Ts, class Visit>
void visit_types(DType type, Visit&& visit) {
  const bool found = ((dtype_of<Ts> == type && (visit(Ts{}), true)) || ...);
  if (!found) throw DTypeError(std::string("cuda: no kernel for elements of type ") + name_of(type));
}

template <class Visit>
void visit_floating(DType type, Visit&& visit) {
  visit_types<float, double, float16, bfloat16>(type, visit);
}

template <class Visit>
void visit_numbers(DType type, Visit&& visit) {
  visit_types<float, double, float16, bfloat16, int64_t, int32_t, uint8_t>(type, visit);
}

template <class Visit>
void visit_all(DType type, Visit&& visit) {
  visit_types<float, double, float16, bfloat16, int64_t, int32_t, uint8_t, bool>(type, visit);
}

}  // namespace dnn::cuda
