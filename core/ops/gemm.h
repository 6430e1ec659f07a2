// The product of two matrices into a destination, however they lie.
#pragma once

#include "core/kernels/linear.h"
#include "core/node.h"

namespace dnn::detail {

// out = op(a) op(b) for matrices; op transposes when its flag is set. A transposed view is used as it lies.
void gemm(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Destination& out);

}  // namespace dnn::detail
