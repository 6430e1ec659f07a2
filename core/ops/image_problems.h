// The checked problems of convolution and pooling, for the operation that is both.
#pragma once

#include "core/kernels/conv.h"
#include "core/kernels/pool.h"

namespace dnn::detail {

// Throw what the operation named `where` throws.
kernel::ConvProblem conv_problem(const char* where, const Tensor& input, const Tensor& weight, const Tensor& bias,
                                 const Conv2dOptions& options);
kernel::PoolProblem pool_problem(const char* where, const Shape& input, const Pool2dOptions& options);

}  // namespace dnn::detail
