// Residual and plain networks for small images.
#include <fmt/format.h>

#include <utility>

#include "dnn/models/resnet.h"
#include "dnn/ops/pool.h"
#include "layers/models/blocks.h"
#include "layers/models/shortcut.h"

namespace dnn {

using detail::at_least_one;

PlainBlock::PlainBlock(int64_t in, int64_t out, int64_t stride)
    : conv1(in, out, detail::conv3x3(stride)), conv2(out, out, detail::conv3x3()), bn1(out), bn2(out) {}

Tensor PlainBlock::forward(Tensor x) {
  const Tensor y = bn1(conv1(x), {.relu = true});
  return bn2(conv2(y), {.relu = true});
}

namespace {

Sequential stage(int64_t n, int64_t in, int64_t width, int64_t stride, Shortcut shortcut) {
  if (shortcut == Shortcut::none) return detail::stage<PlainBlock>(n, in, width, stride);
  return detail::stage<BasicBlock>(n, in, width, stride, shortcut);
}

int64_t blocks_of(const char* where, int64_t depth) {
  if (depth < 8 || (depth - 2) % 6 != 0)
    throw ArgumentError(fmt::format("{}: depth is {}, expected 6 n + 2 with n >= 1: 8, 14, 20, ...", where, depth));
  return (depth - 2) / 6;
}

}  // namespace

ResNetCifar::ResNetCifar(int64_t blocks, const ResNetCifarOptions& options)
    : conv1(options.channels, at_least_one("ResNetCifar", "width", options.width), detail::conv3x3()),
      bn1(options.width),
      layer1(stage(at_least_one("ResNetCifar", "blocks", blocks), options.width, options.width, 1, options.shortcut)),
      layer2(stage(blocks, options.width, 2 * options.width, 2, options.shortcut)),
      layer3(stage(blocks, 2 * options.width, 4 * options.width, 2, options.shortcut)),
      fc(4 * options.width, options.classes) {
  detail::initialize_convolutions(*this);
}

Tensor ResNetCifar::forward(Tensor x) {
  x = bn1(conv1(x), {.relu = true});
  x = layer3(layer2(layer1(std::move(x))));
  return fc(adaptive_avg_pool2d(x, 1).flatten());
}

ResNetCifar resnet_cifar(int64_t depth, const ResNetCifarOptions& options) {
  return ResNetCifar(blocks_of("resnet_cifar", depth), options);
}

ResNetCifar plain_cifar(int64_t depth, const ResNetCifarOptions& options) {
  ResNetCifarOptions plain = options;
  plain.shortcut = Shortcut::none;
  return ResNetCifar(blocks_of("plain_cifar", depth), plain);
}

}  // namespace dnn
