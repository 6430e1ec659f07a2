// Products of matrices.
#pragma once

#include "dnn/tensor.h"

namespace dnn {

/// What a fused operation applies to its result; `gelu_tanh` is `gelu` of the form `GeluForm::tanh`.
enum class Activation { none, relu, gelu_tanh };

/// Options of `linear`.
struct LinearOptions {
  Activation activation = Activation::none;  ///< Applied to the result, fused where the device can.
  Tensor add = {};                           ///< Added before the activation, [..., out].
};

/// Matrix product [..., m, k] x [..., k, n] -> [..., m, n], leading dimensions broadcast; a vector [k] counts as a row
/// on the left, as a column on the right, and its dimension disappears. Throws ShapeError.
Tensor matmul(const Tensor& a, const Tensor& b);
/// Matrix products of a batch: [b, m, k] x [b, k, n] -> [b, m, n]. Throws ShapeError.
Tensor bmm(const Tensor& a, const Tensor& b);
/// Sum of products of two vectors: [n] x [n] -> []. Throws ShapeError.
Tensor dot(const Tensor& a, const Tensor& b);
/// Products of all pairs: [m] x [n] -> [m, n]. Throws ShapeError.
Tensor outer(const Tensor& a, const Tensor& b);
/// input * weight^T + bias: [..., in], [out, in], [out] -> [..., out]. An undefined bias is left out. On a GPU the last
/// bits may differ between calls with and without gradients, where another fused product is the fastest. Throws
/// ShapeError.
Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, const LinearOptions& options = {});

}  // namespace dnn
