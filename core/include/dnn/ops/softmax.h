// Softmax and its logarithm.
#pragma once

#include "dnn/tensor.h"

namespace dnn {

/// e^x / sum(e^x) along one dimension. Throws IndexError, DTypeError unless floating.
Tensor softmax(const Tensor& x, int64_t dim = -1);
/// log(softmax(x)) along one dimension, without overflow. Throws like `softmax`.
Tensor log_softmax(const Tensor& x, int64_t dim = -1);

}  // namespace dnn
