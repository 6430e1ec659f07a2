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
  Tensor num_batches_tracked = {};           ///< int64 []: in training, one more batch is counted in it in passing.
};

/// (x - mean) / sqrt(var + eps) * weight + bias per channel (Ioffe & Szegedy, "Batch normalization", ICML 2015): input
/// [n, c] or [n, c, h, w]; weight, bias, running_mean, running_var [c]. In training the biased batch variance
/// normalises and the unbiased one enters `running_var`, both running tensors being updated in place. Throws
/// ShapeError, also in training for a single value per channel; DTypeError unless floating, and unless the count is
/// int64.
Tensor batch_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                  const Tensor& running_var, const BatchNormOptions& options = {});
/// The same for an input that is moved in: on a CPU, in evaluation and where no gradient is recorded, the result takes
/// the input's memory unless another tensor shares it.
Tensor batch_norm(Tensor&& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                  const Tensor& running_var, const BatchNormOptions& options = {});

/// Options of `layer_norm`, `group_norm` and `instance_norm`.
struct NormOptions {
  double eps = 1e-5;  ///< Added to the variance.
};

/// (x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, which `normalized_shape` names (Ba et al.,
/// "Layer normalization", 2016): any shape that ends with it -> the same; weight and bias [normalized_shape] or
/// undefined, float32 for 16-bit inputs. Throws ShapeError, DTypeError unless floating.
Tensor layer_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight = {},
                  const Tensor& bias = {}, const NormOptions& options = {});
/// The same over each of `groups` equal parts of an image's channels (Wu & He, "Group normalization", ECCV 2018):
/// [n, c, ...] -> the same; weight and bias [c] or undefined. Throws ShapeError, DTypeError; ArgumentError unless
/// `groups` divides c.
Tensor group_norm(const Tensor& input, int64_t groups, const Tensor& weight = {}, const Tensor& bias = {},
                  const NormOptions& options = {});
/// The same over each channel of each image (Ulyanov et al., "Instance normalization", 2016): [n, c, ...] with at least
/// two elements behind c -> the same; weight and bias [c] or undefined. Throws like `group_norm`.
Tensor instance_norm(const Tensor& input, const Tensor& weight = {}, const Tensor& bias = {},
                     const NormOptions& options = {});

/// Options of `local_response_norm`.
struct LocalResponseNormOptions {
  int64_t size = 0;     ///< Channels in a window, of which size / 2 lie before its own; must be given.
  double alpha = 1e-4;  ///< Weight of the mean square.
  double beta = 0.75;   ///< Power of the divisor.
  double k = 1;         ///< Added to the mean square.
};

/// x / (k + alpha / size * sum of x^2 over neighbouring channels)^beta (Krizhevsky et al., "ImageNet classification
/// with deep convolutional neural networks", NIPS 2012): [n, c, ...] -> the same; neighbours beyond the first and last
/// channel count as zeros. Throws ShapeError below three dimensions, DTypeError unless floating, ArgumentError.
Tensor local_response_norm(const Tensor& input, const LocalResponseNormOptions& options);

}  // namespace dnn
