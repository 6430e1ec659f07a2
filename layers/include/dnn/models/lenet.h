// LeNet-5: the convolutional network that read cheques.
#pragma once

#include "dnn/layers/sequential.h"

namespace dnn {

/// Options of `lenet5`.
struct LeNet5Options {
  int64_t classes = 10;  ///< Outputs.
  int64_t channels = 1;  ///< Of the input.
  int64_t size = 28;     ///< Side of the images, in pixels; at least 12.
  int64_t width = 6;     ///< Channels of the first convolution, a multiple of 3; all others in proportion.
};

/// LeNet-5 (LeCun et al., "Gradient-based learning applied to document recognition", 1998) with ReLU and max pooling:
/// images [n, channels, size, size] -> [n, classes]. Throws ArgumentError for a size or a width that is not possible.
Sequential lenet5(const LeNet5Options& options = {});

}  // namespace dnn
