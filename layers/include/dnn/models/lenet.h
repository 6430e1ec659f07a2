// The convolutional networks of LeCun: the first that was trained by backpropagation, on zip codes, and LeNet-5, which
// read cheques.
#pragma once

#include "dnn/layers/conv.h"
#include "dnn/layers/linear.h"
#include "dnn/layers/sequential.h"

namespace dnn {

/// Options of `LeNet1989`.
struct LeNet1989Options {
  int64_t classes = 10;  ///< Outputs.
  int64_t channels = 1;  ///< Of the input.
  int64_t width = 12;    ///< Channels of the first convolution, a multiple of 6; all others in proportion.
};

/// The network of LeCun et al., "Backpropagation applied to handwritten zip code recognition", Neural Computation 1989:
/// images [n, channels, 16, 16] in [-1, 1] -> [n, classes], in +-1.7159, for the mean squared error to targets of +-1.
/// Every unit has a bias of its own, also within a map; beyond the border everything is -1; all units are scaled tanh.
///
/// A map of H2 looks at 8 of the 12 maps of H1; the paper does not say at which. Here, as in other reproductions, the
/// first third of the maps looks at the first two thirds, the second at the last two, the third at the first and the
/// last. Weights start uniform in +-2.4 / fan-in as the paper has it, biases at 0.
class LeNet1989 : public Layer {
 public:
  Conv2d h1, h2;
  Parameter h1_bias, h2_bias;  ///< [12, 8, 8], [12, 4, 4]
  Linear h3, output;
  DNN_MODULE(h1, h1_bias, h2, h2_bias, h3, output)

  /// Throws ArgumentError for a width that is not possible.
  explicit LeNet1989(const LeNet1989Options& options = {});
  /// Throws ShapeError for images of another size.
  Tensor forward(Tensor x) override;
};

/// A `LeNet1989`, made as the other networks are.
inline LeNet1989 lenet1989(const LeNet1989Options& options = {}) { return LeNet1989(options); }

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
