// Losses: one number that says how wrong a prediction is.
#pragma once

#include "dnn/tensor.h"

namespace dnn {

/// How the losses of the samples become the result.
enum class Reduction { mean, sum, none };

/// Options of the losses.
struct LossOptions {
  Reduction reduction = Reduction::mean;  ///< mean -> [], sum -> [], none -> one loss per sample or element.
};

/// -log(softmax(logits)[label]): logits [n, classes], labels [n] of int64 or int32 -> [] (or [n]). Throws ShapeError,
/// DTypeError, IndexError for a label outside [0, classes).
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, const LossOptions& options = {});
/// (input - target)^2 of two tensors of one shape. Throws ShapeError.
Tensor mse_loss(const Tensor& input, const Tensor& target, const LossOptions& options = {});

}  // namespace dnn
