// What transforms share: the checks of their input and options, and moving pixels.
#pragma once

#include <cstdint>
#include <vector>

#include "dnn/data/dataset.h"
#include "dnn/data/transforms/crop.h"
#include "dnn/tensor.h"

namespace dnn::detail {

// The input of a sample, contiguous: a float32 image [c, h, w] with at least one pixel. Throws ShapeError, DTypeError
// or DeviceError naming the transform.
Tensor image_of(const char* where, const Sample& sample);

// A copy of a contiguous image or batch of float32, by this thread alone: the others have images of their own to load.
Tensor copy_of(const Tensor& images);

// Throws ArgumentError unless 0 <= p <= 1.
double checked_probability(const char* where, double p);
// Throws ArgumentError unless both are 1 or more.
Size2 checked_size(const char* where, Size2 size);

// Bounds of areas as shares of the image; throws ArgumentError unless 0 <= low <= high <= 1.
void check_scale(const char* where, Bounds scale);
// Bounds of shapes; throws ArgumentError unless 0 < low <= high < infinity.
void check_ratio(const char* where, Bounds ratio);

// A value for each channel from one for each or one for all. Throws ArgumentError for another number of values.
class Fill {
 public:
  Fill(const char* where, const std::vector<float>& values, const Tensor& image);
  float operator[](int64_t channel) const { return values_[values_.size() == 1 ? 0 : static_cast<size_t>(channel)]; }

 private:
  const std::vector<float>& values_;
};

// A rectangle of pixels; it may reach beyond the image.
struct Window {
  int64_t top = 0, left = 0, h = 0, w = 0;
};

// The place in 0 ... size-1 that a place outside stands for; not for PaddingMode::constant.
int64_t padded_place(int64_t i, int64_t size, PaddingMode mode);

// The pixels of a window, [c, h, w].
Tensor crop(const Tensor& image, const Window& window, PaddingMode mode, const Fill& fill);
Tensor flip_horizontally(const Tensor& image);
Tensor flip_vertically(const Tensor& image);

}  // namespace dnn::detail
