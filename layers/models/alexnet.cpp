// AlexNet.
#include "dnn/models/alexnet.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "dnn/init.h"
#include "dnn/layers.h"
#include "layers/models/widths.h"

namespace dnn {
namespace {

constexpr Pool2dOptions overlapping{.kernel = 3, .stride = 2};

int64_t pooled(int64_t side) { return (side - 3) / 2 + 1; }

// As section 5 of the paper, where the width is 96.
void initialize_gaussian(Sequential& net, int64_t width) {
  const double deviation = 0.01 * std::sqrt(96.0 / static_cast<double>(width));
  static const std::set<std::string> ones{"conv2.bias", "conv4.bias", "conv5.bias", "fc6.bias", "fc7.bias"};
  for (const auto& [name, parameter] : net.named_parameters("*.weight")) normal_(parameter, 0, deviation);
  for (const auto& [name, parameter] : net.named_parameters("*.bias")) constant_(parameter, ones.contains(name));
}

}  // namespace

AlexNet::AlexNet(const AlexNetOptions& options) {
  const detail::Widths wide("alexnet", options.width, 64, {192, 384, 256, 4096});
  features.append(Conv2d(options.channels, wide(64), {.kernel = 11, .stride = 4, .padding = 2})).append(ReLU());
  features.append(MaxPool2d(overlapping));
  features.append(Conv2d(wide(64), wide(192), {.kernel = 5, .padding = 2})).append(ReLU());
  features.append(MaxPool2d(overlapping));
  features.append(Conv2d(wide(192), wide(384), {.kernel = 3, .padding = 1})).append(ReLU());
  features.append(Conv2d(wide(384), wide(256), {.kernel = 3, .padding = 1})).append(ReLU());
  features.append(Conv2d(wide(256), wide(256), {.kernel = 3, .padding = 1})).append(ReLU());
  features.append(MaxPool2d(overlapping));
  classifier.append(Dropout(options.dropout)).append(Linear(wide(256) * 6 * 6, wide(4096))).append(ReLU());
  classifier.append(Dropout(options.dropout)).append(Linear(wide(4096), wide(4096))).append(ReLU());
  classifier.append(Linear(wide(4096), options.classes));
}

Tensor AlexNet::forward(Tensor x) { return classifier(adaptive_avg_pool2d(features(x), 6).flatten()); }

AlexNet alexnet(const AlexNetOptions& options) { return AlexNet(options); }

Sequential alexnet2012(const AlexNet2012Options& options) {
  if (options.size < 63)
    throw ArgumentError(fmt::format("alexnet2012: size is {}, expected at least 63", options.size));
  const detail::Widths wide("alexnet2012", options.width, 96, {48, 128, 192, 2048});   // of each tower
  const LocalResponseNorm norm({.size = 5, .alpha = 5 * 1e-4, .beta = 0.75, .k = 2});  // the paper's alpha scales a sum
  const int64_t side = pooled(pooled(pooled((options.size + 2 * 2 - 11) / 4 + 1)));
  Sequential net;
  net.append("conv1", Conv2d(options.channels, wide(96), {.kernel = 11, .stride = 4, .padding = 2})).append(ReLU());
  net.append("norm1", norm.clone()).append("pool1", MaxPool2d(overlapping));
  net.append("conv2", Conv2d(wide(96), wide(256), {.kernel = 5, .padding = 2, .groups = 2})).append(ReLU());
  net.append("norm2", norm.clone()).append("pool2", MaxPool2d(overlapping));
  net.append("conv3", Conv2d(wide(256), wide(384), {.kernel = 3, .padding = 1})).append(ReLU());
  net.append("conv4", Conv2d(wide(384), wide(384), {.kernel = 3, .padding = 1, .groups = 2})).append(ReLU());
  net.append("conv5", Conv2d(wide(384), wide(256), {.kernel = 3, .padding = 1, .groups = 2})).append(ReLU());
  net.append("pool5", MaxPool2d(overlapping)).append(Flatten());
  net.append("fc6", Linear(wide(256) * side * side, wide(4096))).append(ReLU()).append(Dropout(options.dropout));
  net.append("fc7", Linear(wide(4096), wide(4096))).append(ReLU()).append(Dropout(options.dropout));
  net.append("fc8", Linear(wide(4096), options.classes));
  if (options.gaussian) initialize_gaussian(net, options.width);
  return net;
}

}  // namespace dnn
