// Crops and flips: a window is chosen here, its pixels are moved in image.cpp.
#include "dnn/data/transforms/crop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "data/transforms/image.h"
#include "data/transforms/random.h"
#include "dnn/error.h"

namespace dnn {

using detail::checked_probability;
using detail::checked_size;
using detail::Fill;
using detail::image_of;
using detail::Window;

RandomCrop::RandomCrop(Size2 size, RandomCropOptions options)
    : size_(checked_size("RandomCrop", size)), options_(std::move(options)) {
  if (options_.padding.h < 0 || options_.padding.w < 0)
    throw ArgumentError(
        fmt::format("RandomCrop: padding is {} x {}, expected 0 or more", options_.padding.h, options_.padding.w));
}

void RandomCrop::operator()(Sample& sample, Generator& generator) const {
  const Tensor image = image_of("RandomCrop", sample);
  Size2 padding = options_.padding;
  if (options_.pad_if_needed) {
    // As in torchvision: what is missing is added on both sides.
    padding.h += std::max<int64_t>(0, size_.h - image.size(1) - 2 * padding.h);
    padding.w += std::max<int64_t>(0, size_.w - image.size(2) - 2 * padding.w);
  }
  const int64_t rows = image.size(1) + 2 * padding.h - size_.h, columns = image.size(2) + 2 * padding.w - size_.w;
  if (rows < 0 || columns < 0)
    throw ShapeError(
        fmt::format("RandomCrop: the image is smaller than the crop of {} x {} (input {}, padding {} x {})", size_.h,
                    size_.w, image.shape().str(), padding.h, padding.w));
  const int64_t top = detail::choose(generator, rows + 1) - padding.h;
  const int64_t left = detail::choose(generator, columns + 1) - padding.w;
  const Fill fill("RandomCrop", options_.fill, image);
  sample.input = detail::crop(image, {top, left, size_.h, size_.w}, options_.mode, fill);
}

CenterCrop::CenterCrop(Size2 size) : size_(checked_size("CenterCrop", size)) {}

void CenterCrop::operator()(Sample& sample, Generator&) const {
  const Tensor image = image_of("CenterCrop", sample);
  // As in torchvision: halves are rounded to even numbers, and down where the image is smaller.
  const auto begin = [](int64_t have, int64_t want) {
    return have >= want ? std::lrint(static_cast<double>(have - want) / 2) : -((want - have) / 2);
  };
  static const std::vector<float> zero{0};
  const Window window{begin(image.size(1), size_.h), begin(image.size(2), size_.w), size_.h, size_.w};
  sample.input = detail::crop(image, window, PaddingMode::constant, Fill("CenterCrop", zero, image));
}

RandomHorizontalFlip::RandomHorizontalFlip(double p) : p_(checked_probability("RandomHorizontalFlip", p)) {}

void RandomHorizontalFlip::operator()(Sample& sample, Generator& generator) const {
  const Tensor image = image_of("RandomHorizontalFlip", sample);
  if (detail::happens(generator, p_)) sample.input = detail::flip_horizontally(image);
}

RandomVerticalFlip::RandomVerticalFlip(double p) : p_(checked_probability("RandomVerticalFlip", p)) {}

void RandomVerticalFlip::operator()(Sample& sample, Generator& generator) const {
  const Tensor image = image_of("RandomVerticalFlip", sample);
  if (detail::happens(generator, p_)) sample.input = detail::flip_vertically(image);
}

}  // namespace dnn
