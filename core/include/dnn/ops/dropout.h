// Dropout.
#pragma once

#include "dnn/tensor.h"

namespace dnn {

/// Options of `dropout`.
struct DropoutOptions {
  double p = 0.5;        ///< Probability of zeroing an element, in [0, 1].
  bool training = true;  ///< Otherwise the identity.
};

/// Zeroes elements with probability p and scales the rest by 1 / (1 - p) (Srivastava et al., "Dropout", JMLR 2014). The
/// mask depends on the default generator alone: not on device, layout or threads. Throws ArgumentError for p outside [0, 1].
Tensor dropout(const Tensor& x, const DropoutOptions& options = {});

/// The same for whole channels of sequences [n, c, l], which are zeroed together (Tompson et al., "Efficient object
/// localization using convolutional networks", CVPR 2015). Throws ShapeError, DTypeError, ArgumentError.
Tensor dropout1d(const Tensor& x, const DropoutOptions& options = {});
/// The same for whole channels of images [n, c, h, w]. Throws ShapeError, DTypeError, ArgumentError.
Tensor dropout2d(const Tensor& x, const DropoutOptions& options = {});

}  // namespace dnn
