// 16-bit tensors in kernels that compute in float32: convert, compute, round once.
#pragma once

#include "core/kernels/copy.h"
#include "core/storage.h"

namespace dnn::cpu {

inline bool is_16bit(const Tensor& t) { return t.dtype() == DType::float16 || t.dtype() == DType::bfloat16; }

// A float32 copy; an undefined tensor stays undefined, and so does a tensor that need not be converted stay itself.
inline Tensor to_float32(const Tensor& t) {
  if (!t.defined() || !is_16bit(t)) return t;
  Tensor result = detail::allocate(t.shape(), DType::float32, t.device());
  kernel::copy[t.device()](t, result);
  return result;
}

// The float32 stand-in for an output; with `keep` it starts as a copy of the output, for kernels that accumulate.
inline Tensor float32_like(const Tensor& t, bool keep = false) {
  if (!t.defined() || !is_16bit(t)) return t;
  return keep ? to_float32(t) : detail::allocate(t.shape(), DType::float32, t.device());
}

// Rounds the stand-in into the output.
inline void round_to(const Tensor& stand_in, const Tensor& t) {
  if (t.defined() && is_16bit(t)) kernel::copy[t.device()](stand_in, t);
}

}  // namespace dnn::cpu
