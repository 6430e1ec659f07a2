// Residual networks (He et al., "Deep residual learning for image recognition", CVPR 2016).
//
// A block learns what to add to its input: two convolutions beside a shortcut. Names are torchvision's.
#pragma once

#include "dnn/layers/conv.h"
#include "dnn/layers/linear.h"
#include "dnn/layers/norm.h"
#include "dnn/layers/sequential.h"

namespace dnn {

/// How a shortcut changes its shape, where the block does.
enum class Shortcut {
  identity,    ///< Every second pixel, and zeros as the new channels: no parameters (option A of the paper).
  projection,  ///< A 1x1 convolution and batch norm (option B).
};

/// The two-layer block: relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)), [n, in, h, w] -> [n, out, h / stride, w /
/// stride].
class BasicBlock : public Layer {
 public:
  Conv2d conv1, conv2;
  BatchNorm2d bn1, bn2;
  Sequential downsample;  ///< The shortcut; empty, and the identity, where the shape stays.
  DNN_MODULE(conv1, bn1, conv2, bn2, downsample)

  BasicBlock(int64_t in, int64_t out, int64_t stride, Shortcut shortcut = Shortcut::projection);
  Tensor forward(Tensor x) override;
};

/// Options of `ResNetCifar`.
struct ResNetCifarOptions {
  int64_t classes = 10;                    ///< Outputs.
  int64_t channels = 3;                    ///< Of the input.
  int64_t width = 16;                      ///< Channels of the first stage; the others have 2 and 4 times as many.
  Shortcut shortcut = Shortcut::identity;  ///< The paper's choice for these networks.
};

/// The residual network for small images, of section 4.2 of the paper: three stages of n blocks, 6 n + 2 layers deep;
/// [n, channels, 32, 32] -> [n, classes].
class ResNetCifar : public Layer {
 public:
  Conv2d conv1;
  BatchNorm2d bn1;
  Sequential layer1, layer2, layer3;
  Linear fc;
  DNN_MODULE(conv1, bn1, layer1, layer2, layer3, fc)

  /// Throws ArgumentError unless `blocks`, the n of the paper, and the width are at least 1.
  explicit ResNetCifar(int64_t blocks, const ResNetCifarOptions& options = {});
  Tensor forward(Tensor x) override;
};

/// `ResNetCifar` by its number of layers: 20 for ResNet-20. Throws ArgumentError unless depth is 6 n + 2, n >= 1.
ResNetCifar resnet_cifar(int64_t depth, const ResNetCifarOptions& options = {});

}  // namespace dnn
