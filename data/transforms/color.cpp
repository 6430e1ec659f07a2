// Arithmetic on the channels of an image.
#include "dnn/data/transforms/color.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "data/transforms/image.h"
#include "dnn/error.h"
#include "dnn/ops/factory.h"

namespace dnn {

Normalize::Normalize(Normalization normalization) : normalization_(std::move(normalization)) {
  const auto& [mean, deviation] = normalization_;
  if (mean.empty() || mean.size() != deviation.size() ||
      !std::ranges::all_of(deviation, [](float d) { return d > 0; })) {
    throw ArgumentError(
        fmt::format("Normalize: expected a mean and a positive deviation for each channel ({} means, "
                    "deviations [{}])",
                    mean.size(), fmt::join(deviation, ", ")));
  }
}

void Normalize::operator()(Sample& sample, Generator&) const {
  const auto& [mean, deviation] = normalization_;
  const Tensor image = detail::image_of("Normalize", sample);
  if (image.size(0) != std::ssize(mean))
    throw ShapeError(fmt::format("Normalize: the image has {} channels, expected {}, as there are means (input {})",
                                 image.size(0), mean.size(), image.shape().str()));
  const Tensor result = empty(image.shape());
  const int64_t plane = image.size(1) * image.size(2);
  const float* pixels = image.data<float>();
  float* out = result.data<float>();
  for (size_t c = 0; c < mean.size(); ++c, pixels += plane, out += plane) {
    const float m = mean[c], d = deviation[c];
    for (int64_t i = 0; i < plane; ++i) out[i] = (pixels[i] - m) / d;
  }
  sample.input = result;
}

}  // namespace dnn
