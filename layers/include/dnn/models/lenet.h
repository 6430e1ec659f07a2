// LeNet-5: the convolutional network that read cheques.
#pragma once

#include "dnn/layers/sequential.h"

namespace dnn {

/// Options of `lenet5`.
struct LeNet5Options {
  int64_t classes = 10;  ///< Outputs.
  int64_t channels = 1;  ///< Of the input.
};

/// LeNet-5 (LeCun et al., "Gradient-based learning applied to document recognition", 1998) with ReLU and max pooling:
/// images [n, channels, 28, 28] -> [n, classes].
Sequential lenet5(const LeNet5Options& options = {});

}  // namespace dnn
