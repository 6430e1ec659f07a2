// Transforms that move pixels to places between pixels: resizing, turning, shearing, bending.
#pragma once

#include <cstdint>
#include <vector>

#include "dnn/data/dataset.h"
#include "dnn/data/transforms/crop.h"
#include "dnn/ops/conv.h"

namespace dnn {

/// Options of `Resize`.
struct ResizeOptions {
  bool nearest = false;   ///< Take the nearest pixel instead of interpolating linearly.
  bool antialias = true;  ///< Average over all pixels that a pixel of a smaller result stands for.
};

/// Another size: [c, h, w] -> [c, size.h, size.w], or the shorter side given and the longer one in proportion. Throws
/// ArgumentError for a size below 1.
class Resize {
 public:
  explicit Resize(int64_t shorter_side, ResizeOptions options = {});
  explicit Resize(Size2 size, ResizeOptions options = {});
  void operator()(Sample& sample, Generator& generator) const;

 private:
  Size2 size_;
  bool keeps_ratio_;
  ResizeOptions options_;
};

/// Options of `RandomResizedCrop`.
struct RandomResizedCropOptions {
  Bounds scale = {0.08, 1};           ///< Of the window's area, as a share of the image.
  Bounds ratio = {3.0 / 4, 4.0 / 3};  ///< Of its width over its height.
  ResizeOptions resize = {};          ///< How the window is resized.
};

/// Resizes a window of random size, shape and place, as nets for ImageNet are trained (Szegedy et al., "Going deeper
/// with convolutions", CVPR 2015): [c, h, w] -> [c, size.h, size.w]. Throws ArgumentError for an option out of range.
class RandomResizedCrop {
 public:
  explicit RandomResizedCrop(Size2 size, RandomResizedCropOptions options = {});
  void operator()(Sample& sample, Generator& generator) const;

 private:
  Size2 size_;
  RandomResizedCropOptions options_;
};

/// Options of `RandomAffine`.
struct RandomAffineOptions {
  Bounds degrees = {0, 0};        ///< Of the rotation, clockwise.
  double translate_x = 0;         ///< Largest shift to either side, as a share of the width.
  double translate_y = 0;         ///< Largest shift up or down, as a share of the height.
  Bounds scale = {1, 1};          ///< Of the factor on the size.
  Bounds shear_x = {0, 0};        ///< Of the shear along the rows, in degrees.
  Bounds shear_y = {0, 0};        ///< Of the shear along the columns, in degrees.
  bool nearest = false;           ///< Take the nearest pixel instead of interpolating linearly.
  std::vector<float> fill = {0};  ///< What lies around the image, one value for all channels or one for each.
};

/// Rotates, shifts, scales and shears around the middle of the image, whose size stays. Pixels at the border are
/// interpolated with the fill (torchvision counts the fill twice there). Throws ArgumentError for an
/// option out of range.
class RandomAffine {
 public:
  explicit RandomAffine(RandomAffineOptions options);
  void operator()(Sample& sample, Generator& generator) const;

 private:
  RandomAffineOptions options_;
};

/// Rotates around the middle of the image by an angle in [-degrees, degrees), bilinearly (RandomAffine has `nearest`).
/// Throws ArgumentError for a negative angle.
class RandomRotation {
 public:
  explicit RandomRotation(double degrees, std::vector<float> fill = {0});
  void operator()(Sample& sample, Generator& generator) const { affine_(sample, generator); }

 private:
  RandomAffine affine_;
};

/// Options of `ElasticDistortion`; those of Simard et al. for the digits of MNIST by default.
struct ElasticDistortionOptions {
  double alpha = 34;              ///< Height of the displacements before they are smoothed, in pixels.
  double sigma = 4;               ///< Deviation of the Gaussian that smooths them, in pixels.
  std::vector<float> fill = {0};  ///< What lies around the image, one value for all channels or one for each.
};

/// Moves each pixel by a smooth random displacement (Simard, Steinkraus and Platt, "Best practices for convolutional
/// neural networks applied to visual document analysis", ICDAR 2003). torchvision's ElasticTransform with twice this
/// alpha is the same. Throws ArgumentError for an option out of range.
class ElasticDistortion {
 public:
  explicit ElasticDistortion(ElasticDistortionOptions options = {});
  void operator()(Sample& sample, Generator& generator) const;

 private:
  ElasticDistortionOptions options_;
};

}  // namespace dnn
