// What the operations with batch normalisation in them share.
#pragma once

#include "core/kernels/norm.h"
#include "dnn/ops/norm.h"

namespace dnn::detail {

// Throws what batch_norm throws for arguments that do not fit.
void check_batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                      const Tensor& running_var, const BatchNormOptions& options);
kernel::RunningStatistics running_statistics(const Tensor& mean, const Tensor& var, const BatchNormOptions& options);
// Of what a kernel has changed of them.
void bump_versions(const kernel::RunningStatistics& running);

}  // namespace dnn::detail
