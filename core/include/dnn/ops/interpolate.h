// Images in another size.
#pragma once

#include "dnn/ops/conv.h"
#include "dnn/tensor.h"

namespace dnn {

/// Factors for height and width; one number means both.
struct Scale2 {
  double h = 0;
  double w = 0;
  constexpr Scale2(double both) : h(both), w(both) {}
  constexpr Scale2(double height, double width) : h(height), w(width) {}
  friend constexpr bool operator==(Scale2, Scale2) = default;
};

/// How `interpolate` finds the value of a pixel.
enum class Interpolation {
  nearest,   ///< That of the pixel whose corner lies before it; PyTorch's "nearest".
  bilinear,  ///< The mean of the four pixels around it, by distance.
};

/// Options of `interpolate`.
struct InterpolateOptions {
  Size2 size = 0;      ///< Of the result, in pixels, or
  Scale2 scale = 0.0;  ///< what the image's size is multiplied by, rounded down.
  Interpolation mode = Interpolation::nearest;
  bool align_corners =
      false;  ///< Bilinear only: whether the middles of the corner pixels stay in place, or the corners.
};

/// The image in another size: [n, c, h, w] -> [n, c, h', w'], larger or smaller, without smoothing first; where a scale
/// is given, positions follow from it rather than from the rounded sizes, as in PyTorch. Throws ShapeError,
/// DTypeError unless floating, ArgumentError unless just one of size and scale is given.
Tensor interpolate(const Tensor& input, const InterpolateOptions& options);

}  // namespace dnn
