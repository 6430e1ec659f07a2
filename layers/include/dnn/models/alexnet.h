// AlexNet, the network that won ImageNet 2012: as torchvision has it, and as the paper has it.
#pragma once

#include "dnn/layers/sequential.h"

namespace dnn {

/// Options of `AlexNet`.
struct AlexNetOptions {
  int64_t classes = 1000;  ///< Outputs.
  int64_t channels = 3;    ///< Of the input.
  int64_t width = 64;      ///< Channels of the first convolution; all others in proportion.
  double dropout = 0.5;    ///< Probability of zeroing an input of the first two fully connected layers in training.
};

/// AlexNet in one tower and without response normalisation, as torchvision has it, names and initial weights included
/// (Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014): images [n, channels, h, w]
/// of 63 pixels a side or more, made for 224 -> [n, classes].
class AlexNet : public Layer {
 public:
  Sequential features, classifier;
  DNN_MODULE(features, classifier)

  /// Throws ArgumentError when a number is below 1 or the dropout no probability.
  explicit AlexNet(const AlexNetOptions& options = {});
  Tensor forward(Tensor x) override;
};

/// The same as `AlexNet(options)`: 61,100,840 parameters.
AlexNet alexnet(const AlexNetOptions& options = {});

/// Options of `alexnet2012`.
struct AlexNet2012Options {
  int64_t classes = 1000;  ///< Outputs.
  int64_t channels = 3;    ///< Of the input.
  int64_t size = 224;      ///< Side of the images, in pixels; at least 63.
  int64_t width = 96;      ///< Channels of the first convolution, a multiple of 6; all others in proportion.
  double dropout = 0.5;    ///< Probability of zeroing an output of the first two fully connected layers in training.
  bool gaussian = true;    ///< Whether weights start as the paper's; otherwise as `Conv2d` and `Linear` have them.
};

/// The network of Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks",
/// NIPS 2012: two towers as groups of convolutions, response normalisation, overlapping pooling; images [n, channels,
/// size, size] -> [n, classes]. 224 pixels with a border of 2 zeros give the paper's first maps of 55 x 55; the response
/// normalisation looks at the maps of both towers. The paper's initial weights are normal with deviation 0.01 (times
/// sqrt(96 / width), which keeps the scale of what narrower networks compute), its biases 1 in conv2, conv4, conv5, fc6
/// and fc7, otherwise 0. 60,965,224 parameters. Throws ArgumentError for a size or a width that is not
/// possible, a number below 1, or a dropout that is no probability.
Sequential alexnet2012(const AlexNet2012Options& options = {});

}  // namespace dnn
