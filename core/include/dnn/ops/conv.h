// Convolution of images.
#pragma once

#include "dnn/ops/linear.h"
#include "dnn/tensor.h"

namespace dnn {

/// A height and a width; one number means both.
struct Size2 {
  int64_t h = 0;
  int64_t w = 0;
  constexpr Size2(int64_t both) : h(both), w(both) {}
  constexpr Size2(int both) : h(both), w(both) {}
  constexpr Size2(int64_t height, int64_t width) : h(height), w(width) {}
  friend constexpr bool operator==(Size2, Size2) = default;
};

/// Options of `conv2d`.
struct Conv2dOptions {
  Size2 stride = 1;                          ///< Step of the filter, in pixels.
  Size2 padding = 0;                         ///< Zeros on each side, in pixels.
  Size2 dilation = 1;                        ///< Distance between filter taps, in pixels.
  int64_t groups = 1;                        ///< Channels are split into this many independent convolutions.
  Activation activation = Activation::none;  ///< Applied to the result, fused where the device can.
  Tensor add = {};                           ///< Added before the activation, shaped as the result.
};

/// Cross-correlation, as every framework calls convolution: input [n, c, h, w], weight [k, c / groups, r, s], bias [k]
/// or undefined -> [n, k, h', w'] with h' = (h + 2 padding - dilation (r - 1) - 1) / stride + 1. Throws ShapeError,
/// DTypeError unless floating, ArgumentError for an option out of range.
Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, const Conv2dOptions& options = {});

}  // namespace dnn
