// VGG, the networks of nothing but 3x3 convolutions (Simonyan & Zisserman, "Very deep convolutional networks for
// large-scale image recognition", ICLR 2015).
#pragma once

#include <array>

#include "dnn/layers/sequential.h"

namespace dnn {

/// Options of `VGG`.
struct VGGOptions {
  int64_t classes = 1000;   ///< Outputs.
  int64_t channels = 3;     ///< Of the input.
  int64_t width = 64;       ///< Channels of the first stage; all others in proportion.
  double dropout = 0.5;     ///< Probability of zeroing an output of the first two fully connected layers in training.
  bool batch_norm = false;  ///< Whether every convolution is followed by batch norm.
};

/// Five stages of 3x3 convolutions, each followed by pooling, and three fully connected layers; names and initial
/// weights are torchvision's: images [n, channels, h, w] of 32 pixels a side or more, made for 224 -> [n, classes].
class VGG : public Layer {
 public:
  Sequential features, classifier;
  DNN_MODULE(features, classifier)

  /// `convolutions` of each stage. Throws ArgumentError when a number is below 1 or the dropout no probability.
  explicit VGG(const std::array<int64_t, 5>& convolutions, const VGGOptions& options = {});
  Tensor forward(Tensor x) override;
};

/// Configuration A of the paper, 132,863,336 parameters.
VGG vgg11(const VGGOptions& options = {});
/// Configuration D, 138,357,544 parameters.
VGG vgg16(const VGGOptions& options = {});
/// Configuration E, 143,667,240 parameters.
VGG vgg19(const VGGOptions& options = {});

}  // namespace dnn
