// Bytes become floats through a table of 256 values for each channel, which holds the normalisation too.
#include "dnn/data/image_dataset.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/bytes.h"
#include "dnn/error.h"
#include "dnn/ops/factory.h"

namespace dnn {

ImageDataset::ImageDataset(std::string name, Tensor images, Tensor labels, std::vector<std::string> class_names)
    : name_(std::move(name)), class_names_(std::move(class_names)) {
  if (images.rank() != 4 || labels.rank() != 1 || images.size(0) != labels.size(0)) {
    throw ShapeError(fmt::format("{}: expected images [n, c, h, w] and labels [n] (images {}, labels {})", name_,
                                 images.shape().str(), labels.shape().str()));
  }
  if (images.dtype() != DType::uint8 || labels.dtype() != DType::int64) {
    throw DTypeError(fmt::format("{}: images are {}, labels {}, expected uint8 and int64", name_,
                                 name_of(images.dtype()), name_of(labels.dtype())));
  }
  if (!images.device().is_cpu() || !labels.device().is_cpu()) {
    throw DeviceError(fmt::format("{}: images are on {}, labels on {}, expected cpu", name_, images.device().str(),
                                  labels.device().str()));
  }
  images_ = images.contiguous();
  labels_ = labels.contiguous();
  const int64_t* label = labels_.data<int64_t>();
  const int64_t classes = std::ssize(class_names_);
  for (int64_t i = 0; i < size(); ++i) {
    if (label[i] < 0 || label[i] >= classes) {
      throw IndexError(
          fmt::format("{}: label {} of image {} is out of range ({} classes)", name_, label[i], i, classes));
    }
  }
  const auto channels = static_cast<size_t>(images_.size(1));
  normalize({.mean = std::vector<float>(channels, 0.0f), .deviation = std::vector<float>(channels, 1.0f)});
}

void ImageDataset::normalize(const Normalization& normalization) {
  const auto& [mean, deviation] = normalization;
  const int64_t channels = images_.size(1);
  if (std::ssize(mean) != channels || std::ssize(deviation) != channels ||
      !std::ranges::all_of(deviation, [](float d) { return d > 0; })) {
    throw ArgumentError(
        fmt::format("normalize: expected a mean and a positive deviation for each channel ({}: {} channels, {} means, "
                    "deviations [{}])",
                    name_, channels, mean.size(), fmt::join(deviation, ", ")));
  }
  auto table = std::make_shared<Table>(static_cast<size_t>(channels));
  for (size_t c = 0; c < table->size(); ++c) {
    for (size_t byte = 0; byte < 256; ++byte) {
      (*table)[c][byte] = (static_cast<float>(byte) / 255.0f - mean[c]) / deviation[c];
    }
  }
  table_ = std::move(table);
  normalization_ = normalization;
}

void ImageDataset::convert(int64_t index, float* pixels) const {
  check_index(index);
  const int64_t plane = images_.size(2) * images_.size(3);
  const uint8_t* bytes = images_.data<uint8_t>() + index * images_.size(1) * plane;
  for (const auto& value : *table_) {
    pixels = std::transform(bytes, bytes + plane, pixels, [&](uint8_t byte) { return value[byte]; });
    bytes += plane;
  }
}

Sample ImageDataset::get(int64_t index, const Pass&) const {
  const Sample sample{empty(images_.shape().without(0)), empty({}, {.dtype = DType::int64})};
  convert(index, sample.input.data<float>());
  *sample.target.data<int64_t>() = labels_.data<int64_t>()[index];
  return sample;
}

Batch ImageDataset::allocate(int64_t count) const {
  return {empty(images_.shape().without(0).with(0, count)), empty({count}, {.dtype = DType::int64})};
}

void ImageDataset::gather(std::span<const int64_t> indices, const Pass&, Batch& batch) const {
  const int64_t count = std::ssize(indices);
  if (!batch.input.defined()) batch = allocate(count);
  detail::check_destination(batch.input, images_.shape().without(0).with(0, count), DType::float32, name_);
  detail::check_destination(batch.target, {count}, DType::int64, name_);
  float* pixels = batch.input.data<float>();
  int64_t* label = batch.target.data<int64_t>();
  const int64_t image_size = images_.shape().without(0).numel();
  for (int64_t index : indices) {
    convert(index, pixels);
    pixels += image_size;
    *label++ = labels_.data<int64_t>()[index];
  }
}

}  // namespace dnn
