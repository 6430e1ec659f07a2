// The slots of batch normalisation for images that `fit` (channels.cuh), by our own kernels (norm_packed.cu).
#pragma once

#include "core/kernels/norm.h"

namespace dnn::cuda::packed {

// Mean and deviation alone, as batch_norm_train has them.
void batch_statistics(const Tensor& x, double eps, const kernel::RunningStatistics& running, const Tensor& mean,
                      const Tensor& inv_std);
void batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                      Activation activation, double eps, const kernel::RunningStatistics& running, const Tensor& mean,
                      const Tensor& inv_std, const Tensor& out);
void batch_norm_infer(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                      Activation activation, double eps, const Tensor& running_mean, const Tensor& running_var,
                      const Tensor& out);
void batch_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& weight, const Tensor& bias,
                         const Tensor& mean, const Tensor& inv_std, Activation activation, bool training,
                         const kernel::BatchNormGradients& out);

}  // namespace dnn::cuda::packed
