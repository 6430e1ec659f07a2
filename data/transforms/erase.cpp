// Erasing: a window is chosen and filled in a copy of the image.
#include "dnn/data/transforms/erase.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "data/transforms/image.h"
#include "data/transforms/random.h"
#include "dnn/error.h"

namespace dnn {

using detail::Fill;
using detail::Window;

namespace {

constexpr int tries = 10;  // to find a rectangle that is smaller than the image

// Puts `value(channel, place)` into what the image has of the window.
template <class Value>
void fill_window(const Tensor& image, const Window& window, Value value) {
  const int64_t height = image.size(1), width = image.size(2);
  const int64_t top = std::max<int64_t>(window.top, 0), bottom = std::min(window.top + window.h, height);
  const int64_t left = std::max<int64_t>(window.left, 0), right = std::min(window.left + window.w, width);
  float* pixels = image.data<float>();
  for (int64_t c = 0; c < image.size(0); ++c) {
    for (int64_t y = top; y < bottom; ++y) {
      float* row = pixels + (c * height + y) * width;
      for (int64_t x = left; x < right; ++x) row[x] = value(c);
    }
  }
}

}  // namespace

Cutout::Cutout(Size2 size, CutoutOptions options)
    : size_(detail::checked_size("Cutout", size)), options_(std::move(options)) {
  detail::checked_probability("Cutout", options_.p);
  if (options_.holes < 1) throw ArgumentError(fmt::format("Cutout: holes is {}, expected 1 or more", options_.holes));
}

void Cutout::operator()(Sample& sample, Generator& generator) const {
  const Tensor image = detail::image_of("Cutout", sample);
  const Fill fill("Cutout", options_.fill, image);
  if (!detail::happens(generator, options_.p)) return;
  const Tensor result = detail::copy_of(image);
  for (int64_t hole = 0; hole < options_.holes; ++hole) {
    const int64_t y = detail::choose(generator, image.size(1)), x = detail::choose(generator, image.size(2));
    fill_window(result, {y - size_.h / 2, x - size_.w / 2, size_.h, size_.w}, [&](int64_t c) { return fill[c]; });
  }
  sample.input = result;
}

RandomErasing::RandomErasing(RandomErasingOptions options) : options_(std::move(options)) {
  const RandomErasingOptions& o = options_;
  detail::checked_probability("RandomErasing", o.p);
  detail::check_scale("RandomErasing", o.scale);
  detail::check_ratio("RandomErasing", o.ratio);
}

void RandomErasing::operator()(Sample& sample, Generator& generator) const {
  const Tensor image = detail::image_of("RandomErasing", sample);
  const RandomErasingOptions& o = options_;
  const Fill fill("RandomErasing", o.fill, image);
  if (!detail::happens(generator, o.p)) return;
  const int64_t height = image.size(1), width = image.size(2);
  for (int i = 0; i < tries; ++i) {
    const double area = static_cast<double>(height * width) * detail::between(generator, o.scale);
    const double ratio = detail::between_logs(generator, o.ratio);
    const double exact_h = std::sqrt(area * ratio), exact_w = std::sqrt(area / ratio);
    if (!(exact_h < static_cast<double>(height) && exact_w < static_cast<double>(width))) continue;
    const int64_t h = std::lrint(exact_h), w = std::lrint(exact_w);
    if (h >= height || w >= width) continue;
    const int64_t top = detail::choose(generator, height - h + 1), left = detail::choose(generator, width - w + 1);
    const Tensor result = detail::copy_of(image);
    fill_window(result, {top, left, h, w},
                [&](int64_t c) { return o.noise ? static_cast<float>(generator.normal()) : fill[c]; });
    sample.input = result;
    return;
  }
}

}  // namespace dnn
