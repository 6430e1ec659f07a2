// The random choices of geometric transforms; resample.cpp computes their pixels.
#include "dnn/data/transforms/geometry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "data/transforms/random.h"
#include "data/transforms/resample.h"
#include "dnn/error.h"

namespace dnn {

using detail::between;
using detail::Fill;
using detail::image_of;
using detail::Window;

Resize::Resize(int64_t shorter_side, ResizeOptions options)
    : size_(detail::checked_size("Resize", Size2(shorter_side))), keeps_ratio_(true), options_(options) {}

Resize::Resize(Size2 size, ResizeOptions options)
    : size_(detail::checked_size("Resize", size)), keeps_ratio_(false), options_(options) {}

void Resize::operator()(Sample& sample, Generator&) const {
  const Tensor image = image_of("Resize", sample);
  const int64_t height = image.size(1), width = image.size(2);
  Size2 size = size_;
  if (keeps_ratio_) {
    // As torchvision rounds: down.
    const auto longer = [&](int64_t of, int64_t by) {
      return static_cast<int64_t>(static_cast<double>(size_.h) * static_cast<double>(of) / static_cast<double>(by));
    };
    (height <= width ? size.w : size.h) = height <= width ? longer(width, height) : longer(height, width);
  }
  sample.input = detail::resize(image, {0, 0, height, width}, size, options_);
}

RandomResizedCrop::RandomResizedCrop(Size2 size, RandomResizedCropOptions options)
    : size_(detail::checked_size("RandomResizedCrop", size)), options_(options) {
  detail::check_scale("RandomResizedCrop", options.scale);
  detail::check_ratio("RandomResizedCrop", options.ratio);
}

namespace {

// A window as torchvision draws it: after ten tries that stick out, the largest one in the middle of an allowed shape.
Window random_window(int64_t height, int64_t width, const RandomResizedCropOptions& options, Generator& generator) {
  const double area = static_cast<double>(height * width);
  for (int i = 0; i < 10; ++i) {
    const double target = area * between(generator, options.scale);
    const double ratio = detail::between_logs(generator, options.ratio);
    const int64_t w = std::lrint(std::sqrt(target * ratio)), h = std::lrint(std::sqrt(target / ratio));
    if (w < 1 || w > width || h < 1 || h > height) continue;
    const int64_t top = detail::choose(generator, height - h + 1);
    return {top, detail::choose(generator, width - w + 1), h, w};
  }
  const double ratio = static_cast<double>(width) / static_cast<double>(height);
  int64_t h = height, w = width;
  if (ratio < options.ratio.low) h = std::lrint(static_cast<double>(width) / options.ratio.low);
  if (ratio > options.ratio.high) w = std::lrint(static_cast<double>(height) * options.ratio.high);
  h = std::max<int64_t>(h, 1), w = std::max<int64_t>(w, 1);
  return {(height - h) / 2, (width - w) / 2, h, w};
}

}  // namespace

void RandomResizedCrop::operator()(Sample& sample, Generator& generator) const {
  const Tensor image = image_of("RandomResizedCrop", sample);
  const Window window = random_window(image.size(1), image.size(2), options_, generator);
  sample.input = detail::resize(image, window, size_, options_.resize);
}

RandomAffine::RandomAffine(RandomAffineOptions options) : options_(std::move(options)) {
  const RandomAffineOptions& o = options_;
  const auto check = [](bool good, const char* name, Bounds bounds, const char* expected) {
    if (!good || !(bounds.low <= bounds.high))
      throw ArgumentError(
          fmt::format("RandomAffine: {} is {} to {}, expected {}", name, bounds.low, bounds.high, expected));
  };
  const auto acute = [](Bounds b) { return -90 < b.low && b.high < 90; };
  check(std::isfinite(o.degrees.low) && std::isfinite(o.degrees.high), "degrees", o.degrees, "a range of angles");
  check(0 < o.scale.low && std::isfinite(o.scale.high), "scale", o.scale, "positive numbers");
  check(acute(o.shear_x), "shear_x", o.shear_x, "angles between -90 and 90 degrees");
  check(acute(o.shear_y), "shear_y", o.shear_y, "angles between -90 and 90 degrees");
  if (!(0 <= o.translate_x && o.translate_x <= 1 && 0 <= o.translate_y && o.translate_y <= 1))
    throw ArgumentError(fmt::format("RandomAffine: translate_x is {}, translate_y {}, expected shares from 0 to 1",
                                    o.translate_x, o.translate_y));
}

void RandomAffine::operator()(Sample& sample, Generator& generator) const {
  const RandomAffineOptions& o = options_;
  const Tensor image = image_of("RandomAffine", sample);
  const Fill fill("RandomAffine", o.fill, image);
  const double degrees = between(generator, o.degrees);
  const auto shift = [&](double share, int64_t size) {
    const double most = share * static_cast<double>(size);
    return std::nearbyint(between(generator, {-most, most}));
  };
  const double shift_x = shift(o.translate_x, image.size(2)), shift_y = shift(o.translate_y, image.size(1));
  const double scale = between(generator, o.scale);
  const double shear_x = between(generator, o.shear_x), shear_y = between(generator, o.shear_y);
  const auto inverse = detail::inverse_affine(degrees, shift_x, shift_y, scale, shear_x, shear_y);
  sample.input = detail::affine(image, inverse, o.nearest, fill);
}

namespace {

RandomAffineOptions rotation(double degrees, std::vector<float> fill) {
  if (!(degrees >= 0 && std::isfinite(degrees)))
    throw ArgumentError(fmt::format("RandomRotation: degrees is {}, expected 0 or more", degrees));
  return {.degrees = {-degrees, degrees}, .fill = std::move(fill)};
}

}  // namespace

RandomRotation::RandomRotation(double degrees, std::vector<float> fill) : affine_(rotation(degrees, std::move(fill))) {}

ElasticDistortion::ElasticDistortion(ElasticDistortionOptions options) : options_(std::move(options)) {
  if (!std::isfinite(options_.alpha))
    throw ArgumentError(fmt::format("ElasticDistortion: alpha is {}, expected a finite number", options_.alpha));
  if (!(options_.sigma > 0 && options_.sigma <= 1000))
    throw ArgumentError(fmt::format("ElasticDistortion: sigma is {}, expected 0 to 1000 pixels", options_.sigma));
}

void ElasticDistortion::operator()(Sample& sample, Generator& generator) const {
  const Tensor image = image_of("ElasticDistortion", sample);
  const Fill fill("ElasticDistortion", options_.fill, image);
  const int64_t height = image.size(1), width = image.size(2), plane = height * width;
  std::vector<float> displacement(static_cast<size_t>(2 * plane));
  const uint64_t stream = generator.next_stream();
  for (size_t i = 0; i < displacement.size(); i += 4) {
    const auto words = philox(generator.seed(), stream, i / 4);
    for (size_t k = 0; k < 4 && i + k < displacement.size(); ++k)
      displacement[i + k] = static_cast<float>(words[k] >> 8) * 0x1p-23f - 1;
  }
  // As many taps as torchvision takes: four deviations to each side.
  const auto taps = static_cast<int64_t>(8 * options_.sigma + 1) | 1;
  const std::vector<float> weights = detail::gaussian(taps, options_.sigma);
  for (float* field : {displacement.data(), displacement.data() + plane})
    detail::smooth(field, height, width, weights, weights);
  for (float& pixels : displacement) pixels *= static_cast<float>(options_.alpha);
  sample.input = detail::displace(image, displacement.data(), displacement.data() + plane, fill);
}

}  // namespace dnn
