// Numbers in state dicts: written as tensors of one element, and read back with a check.
#pragma once

#include <fmt/format.h>

#include "dnn/error.h"
#include "dnn/ops/factory.h"
#include "dnn/state_dict.h"

namespace dnn {

inline Tensor state_number(double value) { return full({}, value, {.dtype = DType::float64}); }
inline Tensor state_number(int64_t value) { return full({}, value, {.dtype = DType::int64}); }

// The tensor of that name; ArgumentError naming `where` when it is missing or another one.
inline Tensor state_tensor(const StateDict& state, const char* where, const char* name, DType dtype,
                           const Shape& shape) {
  const Tensor* found = state.find(name);
  if (found == nullptr) throw ArgumentError(fmt::format("{}: the state has no '{}'", where, name));
  if (found->dtype() != dtype || found->shape() != shape)
    throw ArgumentError(fmt::format("{}: '{}' of the state is {} {}, expected {} {}", where, name,
                                    name_of(found->dtype()), found->shape().str(), name_of(dtype), shape.str()));
  return *found;
}

inline double state_value(const StateDict& state, const char* where, const char* name) {
  return state_tensor(state, where, name, DType::float64, {}).item();
}

inline int64_t state_count(const StateDict& state, const char* where, const char* name) {
  const int64_t count = state_tensor(state, where, name, DType::int64, {}).to_vector<int64_t>()[0];
  if (count < 0) throw ArgumentError(fmt::format("{}: '{}' of the state is {}, expected a count", where, name, count));
  return count;
}

}  // namespace dnn
