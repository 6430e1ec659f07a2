// Transforms that cut out and mirror: no pixel changes its value.
//
// All transforms take float32 images [c, h, w] and throw ShapeError, DTypeError or DeviceError, naming themselves, for
// anything else. What they do by chance comes from the generator they are given.
#pragma once

#include <cstdint>
#include <vector>

#include "dnn/data/dataset.h"
#include "dnn/ops/conv.h"

namespace dnn {

/// What a random number lies between, evenly spread.
struct Bounds {
  double low = 0;
  double high = 0;
};

/// What lies around an image: one value, its outermost pixels, or its mirror image without or with the outermost pixel
/// (... c b [a b c ..., ... b a [a b c ...).
enum class PaddingMode { constant, edge, reflect, symmetric };

/// Options of `RandomCrop`.
struct RandomCropOptions {
  Size2 padding = 0;                         ///< Pixels added on each side before the crop.
  PaddingMode mode = PaddingMode::constant;  ///< What the added pixels are.
  std::vector<float> fill = {0};             ///< The constant, one for all channels or one for each.
  bool pad_if_needed = false;                ///< Enlarge images that are smaller than the crop.
};

/// Cuts a window of one size out at a random place: [c, h, w] -> [c, size.h, size.w]. Throws ShapeError for an image
/// that is smaller, ArgumentError for an option out of range.
class RandomCrop {
 public:
  explicit RandomCrop(Size2 size, RandomCropOptions options = {});
  void operator()(Sample& sample, Generator& generator) const;

 private:
  Size2 size_;
  RandomCropOptions options_;
};

/// Cuts the middle out: [c, h, w] -> [c, size.h, size.w]; a smaller image gets zeros around it. Throws ArgumentError
/// for a size below 1.
class CenterCrop {
 public:
  explicit CenterCrop(Size2 size);
  void operator()(Sample& sample, Generator& generator) const;

 private:
  Size2 size_;
};

/// Exchanges left and right with probability p. Throws ArgumentError unless 0 <= p <= 1.
class RandomHorizontalFlip {
 public:
  explicit RandomHorizontalFlip(double p = 0.5);
  void operator()(Sample& sample, Generator& generator) const;

 private:
  double p_;
};

/// Exchanges top and bottom with probability p. Throws ArgumentError unless 0 <= p <= 1.
class RandomVerticalFlip {
 public:
  explicit RandomVerticalFlip(double p = 0.5);
  void operator()(Sample& sample, Generator& generator) const;

 private:
  double p_;
};

}  // namespace dnn
