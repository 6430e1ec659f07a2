// Arithmetic on the channels of an image.
#include "dnn/data/transforms/color.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "data/transforms/color.h"
#include "data/transforms/image.h"
#include "data/transforms/random.h"
#include "data/transforms/resample.h"
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

namespace detail {
namespace {

float limited(float value) { return std::clamp(value, 0.0f, 1.0f); }

// The planes of an image, or its one plane as all three.
struct Planes {
  explicit Planes(const Tensor& image)
      : size(image.size(1) * image.size(2)),
        red(image.data<float>()),
        green(red + (image.size(0) == 3 ? size : 0)),
        blue(green + (image.size(0) == 3 ? size : 0)) {}
  float gray(int64_t i) const { return red == blue ? red[i] : 0.2989f * red[i] + 0.587f * green[i] + 0.114f * blue[i]; }

  int64_t size;
  float *red, *green, *blue;
};

// A colour whose hue is turned: red, green and blue become hue, saturation and value, and back.
std::array<float, 3> turned(float r, float g, float b, float turn) {
  const float value = std::max({r, g, b}), least = std::min({r, g, b}), range = value - least;
  if (range == 0) return {limited(value), limited(value), limited(value)};
  const float saturation = range / value;
  const float red = (value - r) / range, green = (value - g) / range, blue = (value - b) / range;
  float hue = value == r ? blue - green : value == g ? 2 + red - blue : 4 + green - red;
  hue = hue / 6 + turn + 1;  // positive, as a turn is -0.5 to 0.5
  hue -= static_cast<float>(static_cast<int>(hue));
  const int place = static_cast<int>(hue * 6);
  const float part = hue * 6 - static_cast<float>(place);
  const float p = limited(value * (1 - saturation)), q = limited(value * (1 - saturation * part));
  const float t = limited(value * (1 - saturation * (1 - part)));
  switch (place % 6) {
    case 0: return {value, t, p};
    case 1: return {q, value, p};
    case 2: return {p, value, t};
    case 3: return {p, q, value};
    case 4: return {t, p, value};
    default: return {value, p, q};
  }
}

void check_colors(const char* where, const Tensor& image) {
  if (image.size(0) != 1 && image.size(0) != 3)
    throw ShapeError(fmt::format("{}: the image has {} channels, expected 1 or 3 (input {})", where, image.size(0),
                                 image.shape().str()));
}

}  // namespace

void adjust_brightness(const Tensor& image, double factor) {
  const auto f = static_cast<float>(factor);
  float* pixels = image.data<float>();
  std::transform(pixels, pixels + image.numel(), pixels, [&](float pixel) { return limited(f * pixel); });
}

void adjust_contrast(const Tensor& image, double factor) {
  const Planes planes(image);
  double sum = 0;
  for (int64_t i = 0; i < planes.size; ++i) sum += static_cast<double>(planes.gray(i));
  const auto f = static_cast<float>(factor), rest = static_cast<float>((1 - factor) * sum / planes.size);
  float* pixels = image.data<float>();
  std::transform(pixels, pixels + image.numel(), pixels, [&](float pixel) { return limited(f * pixel + rest); });
}

void adjust_saturation(const Tensor& image, double factor) {
  if (image.size(0) == 1) return;
  const Planes planes(image);
  const auto f = static_cast<float>(factor), g = static_cast<float>(1 - factor);
  for (int64_t i = 0; i < planes.size; ++i) {
    const float rest = g * planes.gray(i);
    for (float* plane : {planes.red, planes.green, planes.blue}) plane[i] = limited(f * plane[i] + rest);
  }
}

void adjust_hue(const Tensor& image, double turn) {
  if (image.size(0) == 1) return;
  const Planes planes(image);
  for (int64_t i = 0; i < planes.size; ++i) {
    const auto [r, g, b] = turned(planes.red[i], planes.green[i], planes.blue[i], static_cast<float>(turn));
    planes.red[i] = r, planes.green[i] = g, planes.blue[i] = b;
  }
}

}  // namespace detail

ColorJitter::ColorJitter(ColorJitterOptions options) : options_(options) {
  const auto check = [](const char* name, double value, double most) {
    if (!(value >= 0 && value <= most))
      throw ArgumentError(fmt::format("ColorJitter: {} is {}, expected 0 to {}", name, value, most));
  };
  constexpr double many = 1e6;
  check("brightness", options.brightness, many);
  check("contrast", options.contrast, many);
  check("saturation", options.saturation, many);
  check("hue", options.hue, 0.5);
}

void ColorJitter::operator()(Sample& sample, Generator& generator) const {
  const Tensor image = detail::copy_of(detail::image_of("ColorJitter", sample));
  detail::check_colors("ColorJitter", image);
  std::array<int, 4> order{0, 1, 2, 3};
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[generator.below(i)]);
  const auto factor = [&](double spread) {
    return detail::between(generator, {std::max(0.0, 1 - spread), 1 + spread});
  };
  for (int which : order) {
    const auto& [brightness, contrast, saturation, hue] = options_;
    if (which == 0 && brightness > 0) detail::adjust_brightness(image, factor(brightness));
    if (which == 1 && contrast > 0) detail::adjust_contrast(image, factor(contrast));
    if (which == 2 && saturation > 0) detail::adjust_saturation(image, factor(saturation));
    if (which == 3 && hue > 0) detail::adjust_hue(image, detail::between(generator, {-hue, hue}));
  }
  sample.input = image;
}

namespace {

Tensor grayscale(const char* where, const Tensor& image, int64_t channels) {
  detail::check_colors(where, image);
  const detail::Planes planes(image);
  const Tensor result = empty({channels, image.size(1), image.size(2)});
  float* out = result.data<float>();
  for (int64_t i = 0; i < planes.size; ++i) out[i] = planes.gray(i);
  for (int64_t c = 1; c < channels; ++c) std::copy_n(out, planes.size, out + c * planes.size);
  return result;
}

}  // namespace

Grayscale::Grayscale(int64_t channels) : channels_(channels) {
  if (channels != 1 && channels != 3)
    throw ArgumentError(fmt::format("Grayscale: channels is {}, expected 1 or 3", channels));
}

void Grayscale::operator()(Sample& sample, Generator&) const {
  sample.input = grayscale("Grayscale", detail::image_of("Grayscale", sample), channels_);
}

RandomGrayscale::RandomGrayscale(double p) : p_(detail::checked_probability("RandomGrayscale", p)) {}

void RandomGrayscale::operator()(Sample& sample, Generator& generator) const {
  const Tensor image = detail::image_of("RandomGrayscale", sample);
  detail::check_colors("RandomGrayscale", image);
  if (detail::happens(generator, p_)) sample.input = grayscale("RandomGrayscale", image, image.size(0));
}

GaussianBlur::GaussianBlur(Size2 kernel, Bounds sigma) : kernel_(kernel), sigma_(sigma) {
  if (kernel.h < 1 || kernel.w < 1 || kernel.h % 2 == 0 || kernel.w % 2 == 0)
    throw ArgumentError(
        fmt::format("GaussianBlur: kernel is {} x {}, expected odd positive numbers", kernel.h, kernel.w));
  if (!(0 < sigma.low && sigma.low <= sigma.high && std::isfinite(sigma.high)))
    throw ArgumentError(
        fmt::format("GaussianBlur: sigma is {} to {}, expected positive numbers", sigma.low, sigma.high));
}

void GaussianBlur::operator()(Sample& sample, Generator& generator) const {
  const Tensor image = detail::copy_of(detail::image_of("GaussianBlur", sample));
  const double sigma = detail::between(generator, sigma_);
  const int64_t height = image.size(1), width = image.size(2);
  const std::vector<float> down = detail::gaussian(kernel_.h, sigma), across = detail::gaussian(kernel_.w, sigma);
  for (int64_t c = 0; c < image.size(0); ++c)
    detail::smooth(image.data<float>() + c * height * width, height, width, down, across);
  sample.input = image;
}

}  // namespace dnn
