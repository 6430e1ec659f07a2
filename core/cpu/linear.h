// The linear layer of small batches, beside the general products of linear.cpp.
#pragma once

#include "dnn/ops/linear.h"
#include "dnn/tensor.h"

namespace dnn::cpu::linear_small {

// out [m, n] = activation(x [m, k] weight [n, k]^T + bias [n] + add [m, n]) of float32, contiguous, plain, of none and
// relu; bias and add may be undefined. Filled with the vectorised kernel of core/cpu/simd.
using Forward = void (*)(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                         Activation activation, const Tensor& out);
inline constinit Forward forward = nullptr;

}  // namespace dnn::cpu::linear_small
