// Transforms that erase parts of an image, so that a net learns not to rely on any one of them.
#pragma once

#include <cstdint>
#include <vector>

#include "dnn/data/dataset.h"
#include "dnn/data/transforms/crop.h"
#include "dnn/ops/conv.h"

namespace dnn {

/// Options of `Cutout`.
struct CutoutOptions {
  int64_t holes = 1;              ///< How many windows.
  double p = 1;                   ///< Probability that an image gets them.
  std::vector<float> fill = {0};  ///< Their value, one for all channels or one for each.
};

/// Erases windows of one size around random pixels; what sticks out of the image is lost (DeVries and Taylor, "Improved
/// regularization of convolutional neural networks with cutout", 2017). Images [c, h, w] of float32. Throws
/// ArgumentError for an option out of range.
class Cutout {
 public:
  explicit Cutout(Size2 size, CutoutOptions options = {});
  void operator()(Sample& sample, Generator& generator) const;

 private:
  Size2 size_;
  CutoutOptions options_;
};

/// Options of `RandomErasing`.
struct RandomErasingOptions {
  double p = 0.5;                 ///< Probability that an image loses a rectangle.
  Bounds scale = {0.02, 0.33};    ///< Of its area, as a share of the image.
  Bounds ratio = {0.3, 3.3};      ///< Of its height over its width.
  std::vector<float> fill = {0};  ///< Its value, one for all channels or one for each.
  bool noise = false;             ///< Normal noise of mean 0 and deviation 1 instead.
};

/// Erases a rectangle of random size, shape and place (Zhong et al., "Random erasing data augmentation", AAAI 2020).
/// Images [c, h, w] of float32. Throws ArgumentError for an option out of range.
class RandomErasing {
 public:
  explicit RandomErasing(RandomErasingOptions options = {});
  void operator()(Sample& sample, Generator& generator) const;

 private:
  RandomErasingOptions options_;
};

}  // namespace dnn
