// The check of a transform's input, and moving pixels.
#include "data/transforms/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dnn/error.h"
#include "dnn/ops/factory.h"

namespace dnn::detail {

Tensor image_of(const char* where, const Sample& sample) {
  const Tensor& input = sample.input;
  if (!input.defined()) throw ArgumentError(fmt::format("{}: input is undefined, expected an image", where));
  const auto shape = [&] { return input.shape().str(); };
  if (input.rank() != 3) throw ShapeError(fmt::format("{}: input is {}, expected an image [c, h, w]", where, shape()));
  if (input.numel() == 0)
    throw ShapeError(fmt::format("{}: input is {}, expected an image with at least one pixel", where, shape()));
  if (input.dtype() != DType::float32)
    throw DTypeError(
        fmt::format("{}: input is {}, expected float32 (input {})", where, name_of(input.dtype()), shape()));
  if (!input.device().is_cpu())
    throw DeviceError(fmt::format("{}: input is on {}, expected cpu (input {})", where, input.device().str(), shape()));
  return input.contiguous();
}

Tensor copy_of(const Tensor& images) {
  const Tensor result = empty(images.shape());
  std::copy_n(images.data<float>(), images.numel(), result.data<float>());
  return result;
}

double checked_probability(const char* where, double p) {
  if (!(p >= 0 && p <= 1)) throw ArgumentError(fmt::format("{}: p is {}, expected 0 to 1", where, p));
  return p;
}

Size2 checked_size(const char* where, Size2 size) {
  if (size.h < 1 || size.w < 1)
    throw ArgumentError(fmt::format("{}: size is {} x {}, expected 1 x 1 or more", where, size.h, size.w));
  return size;
}

void check_scale(const char* where, Bounds scale) {
  if (!(0 <= scale.low && scale.low <= scale.high && scale.high <= 1))
    throw ArgumentError(
        fmt::format("{}: scale is {} to {}, expected shares of the image's area", where, scale.low, scale.high));
}

void check_ratio(const char* where, Bounds ratio) {
  if (!(0 < ratio.low && ratio.low <= ratio.high && std::isfinite(ratio.high)))
    throw ArgumentError(fmt::format("{}: ratio is {} to {}, expected positive numbers", where, ratio.low, ratio.high));
}

Fill::Fill(const char* where, const std::vector<float>& values, const Tensor& image) : values_(values) {
  if (values.size() != 1 && std::ssize(values) != image.size(0))
    throw ArgumentError(fmt::format("{}: fill has {} values, expected one, or one for each channel (input {})", where,
                                    values.size(), image.shape().str()));
}

int64_t padded_place(int64_t i, int64_t size, PaddingMode mode) {
  if (i >= 0 && i < size) return i;
  if (mode == PaddingMode::edge || size == 1) return std::clamp<int64_t>(i, 0, size - 1);
  const int64_t back = mode == PaddingMode::reflect ? size - 2 : size;  // places on the way back
  const int64_t period = size + back;
  const int64_t j = (i % period + period) % period;
  return j < size ? j : (mode == PaddingMode::reflect ? period - j : period - 1 - j);
}

namespace {

// Rows of zero or more pixels: `w` of them from column `left` on, of which only [0, width) are in the image.
void copy_row(const float* row, int64_t width, int64_t left, int64_t w, float fill, float* out) {
  const int64_t begin = std::clamp<int64_t>(-left, 0, w), end = std::clamp<int64_t>(width - left, begin, w);
  std::fill(out, out + begin, fill);
  std::copy(row + left + begin, row + left + end, out + begin);
  std::fill(out + end, out + w, fill);
}

}  // namespace

Tensor crop(const Tensor& image, const Window& window, PaddingMode mode, const Fill& fill) {
  const int64_t channels = image.size(0), height = image.size(1), width = image.size(2);
  const Tensor result = empty({channels, window.h, window.w});
  const float* pixels = image.data<float>();
  float* out = result.data<float>();
  const bool constant = mode == PaddingMode::constant;
  std::vector<int64_t> columns;
  for (int64_t x = 0; !constant && x < window.w; ++x) columns.push_back(padded_place(window.left + x, width, mode));
  for (int64_t c = 0; c < channels; ++c, pixels += height * width) {
    for (int64_t y = 0; y < window.h; ++y, out += window.w) {
      const int64_t place = window.top + y;
      if (!constant) {
        const float* row = pixels + padded_place(place, height, mode) * width;
        std::ranges::transform(columns, out, [&](int64_t x) { return row[x]; });
      } else if (place < 0 || place >= height) {
        std::fill(out, out + window.w, fill[c]);
      } else {
        copy_row(pixels + place * width, width, window.left, window.w, fill[c], out);
      }
    }
  }
  return result;
}

Tensor flip_horizontally(const Tensor& image) {
  const Tensor result = empty(image.shape());
  const float* row = image.data<float>();
  float* out = result.data<float>();
  const int64_t rows = image.size(0) * image.size(1), width = image.size(2);
  for (int64_t y = 0; y < rows; ++y, row += width, out += width) std::reverse_copy(row, row + width, out);
  return result;
}

Tensor flip_vertically(const Tensor& image) {
  const Tensor result = empty(image.shape());
  const int64_t channels = image.size(0), height = image.size(1), width = image.size(2);
  const float* pixels = image.data<float>();
  float* out = result.data<float>();
  for (int64_t c = 0; c < channels; ++c, pixels += height * width) {
    for (int64_t y = height - 1; y >= 0; --y) out = std::copy_n(pixels + y * width, width, out);
  }
  return result;
}

}  // namespace dnn::detail
