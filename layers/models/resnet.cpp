// Residual networks for ImageNet.
#include "dnn/models/resnet.h"

#include <utility>

#include "dnn/ops/pool.h"
#include "layers/models/blocks.h"
#include "layers/models/shortcut.h"

namespace dnn {

using detail::at_least_one;
using detail::conv1x1;
using detail::conv3x3;

BasicBlock::BasicBlock(int64_t in, int64_t out, int64_t stride, Shortcut shortcut)
    : conv1(in, out, conv3x3(stride)),
      conv2(out, out, conv3x3()),
      bn1(out),
      bn2(out),
      downsample(detail::shortcut_of(in, out, stride, shortcut)) {}

Tensor BasicBlock::forward(Tensor x) {
  const Tensor y = bn1(conv1(x), {.relu = true});
  return bn2(conv2(y), {.add = downsample(x), .relu = true});
}

Bottleneck::Bottleneck(int64_t in, int64_t width, int64_t stride, Shortcut shortcut)
    : conv1(in, width, conv1x1()),
      conv2(width, width, conv3x3(stride)),
      conv3(width, 4 * width, conv1x1()),
      bn1(width),
      bn2(width),
      bn3(4 * width),
      downsample(detail::shortcut_of(in, 4 * width, stride, shortcut)) {}

Tensor Bottleneck::forward(Tensor x) {
  Tensor y = bn1(conv1(x), {.relu = true});
  y = bn2(conv2(y), {.relu = true});
  return bn3(conv3(y), {.add = downsample(x), .relu = true});
}

namespace {

Sequential stage(ResNetBlock block, int64_t n, int64_t in, int64_t width, int64_t stride) {
  at_least_one("ResNet", "blocks", n);
  return block == ResNetBlock::basic ? detail::stage<BasicBlock>(n, in, width, stride)
                                     : detail::stage<Bottleneck>(n, in, width, stride);
}

int64_t expansion(ResNetBlock block) { return block == ResNetBlock::basic ? 1 : 4; }

}  // namespace

ResNet::ResNet(ResNetBlock block, const std::array<int64_t, 4>& blocks, const ResNetOptions& options)
    : conv1(options.channels, at_least_one("ResNet", "width", options.width),
            {.kernel = 7, .stride = 2, .padding = 3, .bias = false}),
      bn1(options.width),
      layer1(stage(block, blocks[0], options.width, options.width, 1)),
      layer2(stage(block, blocks[1], expansion(block) * options.width, 2 * options.width, 2)),
      layer3(stage(block, blocks[2], expansion(block) * 2 * options.width, 4 * options.width, 2)),
      layer4(stage(block, blocks[3], expansion(block) * 4 * options.width, 8 * options.width, 2)),
      fc(expansion(block) * 8 * options.width, options.classes) {
  detail::initialize_convolutions(*this);
}

Tensor ResNet::forward(Tensor x) {
  x = bn1.relu_max_pool(conv1(x), {.kernel = 3, .stride = 2, .padding = 1});
  x = layer4(layer3(layer2(layer1(std::move(x)))));
  return fc(adaptive_avg_pool2d(x, 1).flatten());
}

ResNet resnet18(const ResNetOptions& options) { return {ResNetBlock::basic, {2, 2, 2, 2}, options}; }
ResNet resnet34(const ResNetOptions& options) { return {ResNetBlock::basic, {3, 4, 6, 3}, options}; }
ResNet resnet50(const ResNetOptions& options) { return {ResNetBlock::bottleneck, {3, 4, 6, 3}, options}; }
ResNet resnet101(const ResNetOptions& options) { return {ResNetBlock::bottleneck, {3, 4, 23, 3}, options}; }
ResNet resnet152(const ResNetOptions& options) { return {ResNetBlock::bottleneck, {3, 8, 36, 3}, options}; }

}  // namespace dnn
