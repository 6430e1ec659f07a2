// 16-bit tensors in kernels that compute in float32: convert, compute, round once.
#pragma once

#include "dnn/tensor.h"

namespace dnn::cpu {

bool is_16bit(const Tensor& t);
// A float32 copy of a 16-bit tensor; any other, and an undefined one, itself.
Tensor to_float32(const Tensor& t);
// The float32 stand-in for a 16-bit output; with `keep` a copy of it, for kernels that accumulate. Any other, itself.
Tensor float32_like(const Tensor& t, bool keep = false);
// Rounds the stand-in into the 16-bit output.
void round_to(const Tensor& stand_in, const Tensor& t);

}  // namespace dnn::cpu
