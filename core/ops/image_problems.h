// The checked problems of convolution and pooling, for the operation that is both.
#pragma once

#include <optional>

#include "core/kernels/conv.h"
#include "core/kernels/pool.h"

namespace dnn::detail {

// Throw what the operation named `where` throws. Operands that will be `cast` need not have a type in common yet.
kernel::ConvProblem conv_problem(const char* where, const Tensor& input, const Tensor& weight, const Tensor& bias,
                                 const Conv2dOptions& options, std::optional<DType> cast = std::nullopt);
kernel::PoolProblem pool_problem(const char* where, const Shape& input, const Pool2dOptions& options);

}  // namespace dnn::detail
