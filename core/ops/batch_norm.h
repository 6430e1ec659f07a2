// What the operations with batch normalisation in them share.
#pragma once

#include "dnn/ops/norm.h"

namespace dnn::detail {

// Throws what batch_norm throws for arguments that do not fit.
void check_batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                      const Tensor& running_var, const BatchNormOptions& options);

}  // namespace dnn::detail
