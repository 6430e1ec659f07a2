// Labelled images in memory, as bytes; they become float32 when a batch is made.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "dnn/data/dataset.h"

namespace dnn {

/// The two parts of a published data set.
enum class Split { train, test };

/// Mean and standard deviation of each channel, for pixels in [0, 1].
struct Normalization {
  std::vector<float> mean;
  std::vector<float> deviation;
};

/// Images of one size with a class each. A pixel byte b becomes b / 255 in [0, 1], or (b / 255 - mean) / deviation.
class ImageDataset : public Dataset {
 public:
  /// Images uint8 [n, c, h, w] with labels int64 [n]; keeps the tensors, not copies, if they are contiguous. Throws
  /// ShapeError, DTypeError, DeviceError, and IndexError for a label that is not below the number of classes.
  ImageDataset(std::string name, Tensor images, Tensor labels, std::vector<std::string> class_names);

  int64_t size() const override { return images_.size(0); }
  std::string name() const override { return name_; }
  std::vector<std::string> class_names() const override { return class_names_; }
  Sample get(int64_t index, const Pass& pass = {}) const override;
  Batch allocate(int64_t count) const override;
  void gather(std::span<const int64_t> indices, const Pass& pass, Batch& batch) const override;

  /// The pixels, uint8 [n, c, h, w].
  const Tensor& images() const { return images_; }
  /// The classes, int64 [n].
  const Tensor& labels() const { return labels_; }
  /// Makes samples and batches come normalised. Throws ArgumentError unless there is one mean and one positive
  /// deviation for each channel.
  void normalize(const Normalization& normalization);
  /// How samples are normalised; means of 0 and deviations of 1 when they are not.
  const Normalization& normalization() const { return normalization_; }

 private:
  using Table = std::vector<std::array<float, 256>>;  // for each channel the float of each byte
  void convert(int64_t index, float* pixels) const;

  std::string name_;
  Tensor images_, labels_;
  std::vector<std::string> class_names_;
  Normalization normalization_;
  std::shared_ptr<const Table> table_;
};

}  // namespace dnn
