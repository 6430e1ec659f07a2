// Products of matrices.
#pragma once

#include "dnn/tensor.h"

namespace dnn {

/// What a fused operation applies to its result.
enum class Activation { none, relu };

/// Options of `linear`.
struct LinearOptions {
  Activation activation = Activation::none;  ///< Applied to the result, fused where the device can.
  Tensor add = {};                           ///< Added before the activation, [..., out].
};

/// Matrix product [m, k] x [k, n] -> [m, n]. Throws ShapeError.
Tensor matmul(const Tensor& a, const Tensor& b);
/// input * weight^T + bias: [..., in], [out, in], [out] -> [..., out]. An undefined bias is left out. Throws ShapeError.
Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, const LinearOptions& options = {});

}  // namespace dnn
