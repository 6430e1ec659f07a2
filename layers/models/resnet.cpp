// Residual networks.
#include "dnn/models/resnet.h"

#include <fmt/format.h>

#include <utility>

#include "dnn/error.h"
#include "dnn/init.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/pool.h"
#include "dnn/ops/shape.h"
#include "dnn/ops/unary.h"

namespace dnn {
namespace {

ConvLayerOptions conv3x3(int64_t stride = 1) { return {.kernel = 3, .stride = stride, .padding = 1, .bias = false}; }

// Every stride-th pixel of every stride-th row, and zeros as the channels that the input lacks.
class PaddedIdentity : public Layer {
 public:
  DNN_MODULE()
  PaddedIdentity(int64_t in, int64_t out, int64_t stride) : in_(in), out_(out), stride_(stride) {}
  Tensor forward(Tensor x) override {
    const Tensor pixels = max_pool2d(x, {.kernel = 1, .stride = stride_});
    const Shape& shape = pixels.shape();
    return cat({pixels, zeros({shape[0], out_ - in_, shape[2], shape[3]}, pixels.options())}, 1);
  }
  std::string type_name() const override { return "PaddedIdentity"; }
  std::string describe() const override { return fmt::format("{}, {}, stride={}", in_, out_, stride_); }

 private:
  int64_t in_, out_, stride_;
};

Sequential shortcut_of(int64_t in, int64_t out, int64_t stride, Shortcut shortcut) {
  Sequential layers;
  if (stride == 1 && in == out) return layers;
  if (shortcut == Shortcut::projection)
    layers.append(Conv2d(in, out, {.kernel = 1, .stride = stride, .bias = false})).append(BatchNorm2d(out));
  else
    layers.append(PaddedIdentity(in, out, stride));
  return layers;
}

// n blocks, of which the first changes the shape.
Sequential stage(int64_t n, int64_t in, int64_t out, int64_t stride, Shortcut shortcut) {
  Sequential blocks;
  for (int64_t i = 0; i < n; ++i)
    blocks.push_back(i == 0 ? BasicBlock(in, out, stride, shortcut) : BasicBlock(out, out, 1, shortcut));
  return blocks;
}

// The weights of all convolutions keep the variance of the gradient through ReLUs, as torchvision's.
void initialize_convolutions(Module& net) {
  for (auto& [name, module] : net.modules())
    if (auto* conv = dynamic_cast<Conv2d*>(module))
      kaiming_normal_(conv->weight, {.mode = Fan::out, .nonlinearity = Nonlinearity::relu});
}

// The argument itself; checked before anything is built of it.
int64_t at_least_one(const char* name, int64_t value) {
  if (value < 1) throw ArgumentError(fmt::format("ResNetCifar: {} is {}, expected at least 1", name, value));
  return value;
}

}  // namespace

BasicBlock::BasicBlock(int64_t in, int64_t out, int64_t stride, Shortcut shortcut)
    : conv1(in, out, conv3x3(stride)),
      conv2(out, out, conv3x3()),
      bn1(out),
      bn2(out),
      downsample(shortcut_of(in, out, stride, shortcut)) {}

Tensor BasicBlock::forward(Tensor x) {
  const Tensor y = bn1(conv1(x), {.relu = true});
  return bn2(conv2(y), {.add = downsample(x), .relu = true});
}

ResNetCifar::ResNetCifar(int64_t blocks, const ResNetCifarOptions& options)
    : conv1(options.channels, at_least_one("width", options.width), conv3x3()),
      bn1(options.width),
      layer1(stage(at_least_one("blocks", blocks), options.width, options.width, 1, options.shortcut)),
      layer2(stage(blocks, options.width, 2 * options.width, 2, options.shortcut)),
      layer3(stage(blocks, 2 * options.width, 4 * options.width, 2, options.shortcut)),
      fc(4 * options.width, options.classes) {
  initialize_convolutions(*this);
}

Tensor ResNetCifar::forward(Tensor x) {
  x = bn1(conv1(x), {.relu = true});
  x = layer3(layer2(layer1(x)));
  return fc(adaptive_avg_pool2d(x, 1).flatten());
}

ResNetCifar resnet_cifar(int64_t depth, const ResNetCifarOptions& options) {
  if (depth < 8 || (depth - 2) % 6 != 0)
    throw ArgumentError(fmt::format("resnet_cifar: depth is {}, expected 6 n + 2 with n >= 1: 8, 14, 20, ...", depth));
  return ResNetCifar((depth - 2) / 6, options);
}

}  // namespace dnn
