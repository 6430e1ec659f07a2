// Residual networks (He et al., "Deep residual learning for image recognition", CVPR 2016).
//
// A block learns what to add to its input: two or three convolutions beside a shortcut. Names are torchvision's.
#pragma once

#include <array>

#include "dnn/layers/conv.h"
#include "dnn/layers/linear.h"
#include "dnn/layers/norm.h"
#include "dnn/layers/sequential.h"

namespace dnn {

/// How a shortcut changes its shape, where the block does.
enum class Shortcut {
  identity,    ///< Every second pixel, and zeros as the new channels: no parameters (option A of the paper).
  projection,  ///< A 1x1 convolution and batch norm (option B).
  none,        ///< There are no shortcuts at all: the plain networks that the paper compares with.
};

/// The two-layer block: relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)), [n, in, h, w] -> [n, out, h / stride, w /
/// stride].
class BasicBlock : public Layer {
 public:
  static constexpr int64_t expansion = 1;  ///< Channels of the output over those of the convolutions between.
  Conv2d conv1, conv2;
  BatchNorm2d bn1, bn2;
  Sequential downsample;  ///< The shortcut; empty, and the identity, where the shape stays.
  DNN_MODULE(conv1, bn1, conv2, bn2, downsample)

  /// Throws ArgumentError when a number is below 1, for Shortcut::none, and for an identity to fewer channels.
  BasicBlock(int64_t in, int64_t out, int64_t stride, Shortcut shortcut = Shortcut::projection);
  Tensor forward(Tensor x) override;
};

/// The three-layer block of the deeper networks: 1x1 to fewer channels, 3x3, 1x1 to four times as many, [n, in, h, w]
/// -> [n, 4 width, h / stride, w / stride]. The stride is in the 3x3 convolution, as torchvision has it ("v1.5").
class Bottleneck : public Layer {
 public:
  static constexpr int64_t expansion = 4;  ///< Channels of the output over those of the convolutions between.
  Conv2d conv1, conv2, conv3;
  BatchNorm2d bn1, bn2, bn3;
  Sequential downsample;  ///< The shortcut; empty, and the identity, where the shape stays.
  DNN_MODULE(conv1, bn1, conv2, bn2, conv3, bn3, downsample)

  /// Throws ArgumentError when a number is below 1, for Shortcut::none, and for an identity to fewer channels.
  Bottleneck(int64_t in, int64_t width, int64_t stride, Shortcut shortcut = Shortcut::projection);
  Tensor forward(Tensor x) override;
};

/// The blocks of which a `ResNet` is built.
enum class ResNetBlock {
  basic,       ///< `BasicBlock`.
  bottleneck,  ///< `Bottleneck`.
};

/// Options of `ResNet`.
struct ResNetOptions {
  int64_t classes = 1000;  ///< Outputs.
  int64_t channels = 3;    ///< Of the input.
  int64_t width = 64;      ///< Channels of the first convolution; all others in proportion.
};

/// The residual network for ImageNet: a 7x7 convolution, pooling, and four stages of blocks; names and initial weights
/// are torchvision's: images [n, channels, h, w], made for 224 pixels a side -> [n, classes].
class ResNet : public Layer {
 public:
  Conv2d conv1;
  BatchNorm2d bn1;
  Sequential layer1, layer2, layer3, layer4;
  Linear fc;
  DNN_MODULE(conv1, bn1, layer1, layer2, layer3, layer4, fc)

  /// `blocks` of each stage. Throws ArgumentError when a number is below 1.
  ResNet(ResNetBlock block, const std::array<int64_t, 4>& blocks, const ResNetOptions& options = {});
  Tensor forward(Tensor x) override;
};

/// ResNet-18: 11,689,512 parameters.
ResNet resnet18(const ResNetOptions& options = {});
/// ResNet-34: 21,797,672 parameters.
ResNet resnet34(const ResNetOptions& options = {});
/// ResNet-50: 25,557,032 parameters.
ResNet resnet50(const ResNetOptions& options = {});
/// ResNet-101: 44,549,160 parameters.
ResNet resnet101(const ResNetOptions& options = {});
/// ResNet-152: 60,192,808 parameters.
ResNet resnet152(const ResNetOptions& options = {});

/// The two layers of a plain network, named as those of `BasicBlock`: relu(bn(conv(relu(bn(conv(x)))))), [n, in, h, w]
/// -> [n, out, h / stride, w / stride].
class PlainBlock : public Layer {
 public:
  static constexpr int64_t expansion = 1;  ///< Channels of the output over those of the convolutions between.
  Conv2d conv1, conv2;
  BatchNorm2d bn1, bn2;
  DNN_MODULE(conv1, bn1, conv2, bn2)

  /// Throws ArgumentError for a number below 1.
  PlainBlock(int64_t in, int64_t out, int64_t stride);
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

  /// With `blocks` blocks in each stage, the n of the paper: 3 make a ResNet-20. Throws ArgumentError unless it and the
  /// width are at least 1.
  explicit ResNetCifar(int64_t blocks, const ResNetCifarOptions& options = {});
  Tensor forward(Tensor x) override;
};

/// `ResNetCifar` by its number of layers: 20 for ResNet-20. Throws ArgumentError unless depth is 6 n + 2, n >= 1.
ResNetCifar resnet_cifar(int64_t depth, const ResNetCifarOptions& options = {});
/// The same layers without shortcuts, the plain networks of figure 6; `options.shortcut` does not count. Throws alike.
ResNetCifar plain_cifar(int64_t depth, const ResNetCifarOptions& options = {});

}  // namespace dnn
