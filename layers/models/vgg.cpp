// VGG.
#include "dnn/models/vgg.h"

#include <utility>

#include "dnn/init.h"
#include "dnn/layers.h"
#include "layers/models/blocks.h"
#include "layers/models/widths.h"

namespace dnn {

VGG::VGG(const std::array<int64_t, 5>& convolutions, const VGGOptions& options) {
  const detail::Widths wide("vgg", options.width, 64, {128, 256, 512, 4096});
  int64_t in = options.channels;
  for (size_t stage = 0; stage < 5; ++stage) {
    const int64_t out = wide(std::array{64, 128, 256, 512, 512}[stage]);
    for (int64_t i = 0; i < detail::at_least_one("vgg", "convolutions", convolutions[stage]); ++i) {
      features.append(Conv2d(std::exchange(in, out), out, {.kernel = 3, .padding = 1}));
      if (options.batch_norm) features.append(BatchNorm2d(out));
      features.append(ReLU());
    }
    features.append(MaxPool2d({.kernel = 2}));
  }
  classifier.append(Linear(in * 7 * 7, wide(4096))).append(ReLU()).append(Dropout(options.dropout));
  classifier.append(Linear(wide(4096), wide(4096))).append(ReLU()).append(Dropout(options.dropout));
  classifier.append(Linear(wide(4096), options.classes));
  detail::initialize_convolutions(features);
  for (const auto& [name, weight] : classifier.named_parameters("*.weight")) normal_(weight, 0, 0.01);
  for (const auto& [name, bias] : classifier.named_parameters("*.bias")) zeros_(bias);
}

Tensor VGG::forward(Tensor x) { return classifier(adaptive_avg_pool2d(features(x), 7).flatten()); }

VGG vgg11(const VGGOptions& options) { return VGG({1, 1, 2, 2, 2}, options); }
VGG vgg16(const VGGOptions& options) { return VGG({2, 2, 3, 3, 3}, options); }
VGG vgg19(const VGGOptions& options) { return VGG({2, 2, 4, 4, 4}, options); }

}  // namespace dnn
