// Normalisation.
#pragma once

#include "dnn/ops/linear.h"
#include "dnn/tensor.h"

namespace dnn {

/// Options of `batch_norm`.
struct BatchNormOptions {
  bool training = true;                      ///< Normalise with the batch's statistics and update the running ones.
  double momentum = 0.1;                     ///< Weight of the batch in the running statistics.
  double eps = 1e-5;                         ///< Added to the variance.
  Activation activation = Activation::none;  ///< Applied to the result, fused where the device can.
  Tensor add = {};                           ///< Added before the activation, shaped as the input.
};

/// (x - mean) / sqrt(var + eps) * weight + bias per channel (Ioffe & Szegedy, "Batch normalization", ICML 2015): input
/// [n, c] or [n, c, h, w]; weight, bias, running_mean, running_var [c]. In training the biased batch variance
/// normalises and the unbiased one enters `running_var`, both running tensors being updated in place. Throws
/// ShapeError, also in training for a single value per channel; DTypeError unless floating.
Tensor batch_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                  const Tensor& running_var, const BatchNormOptions& options = {});

}  // namespace dnn
