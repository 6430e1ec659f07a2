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

/// Options of `conv1d`.
struct Conv1dOptions {
  int64_t stride = 1;    ///< Step of the filter, in elements.
  int64_t padding = 0;   ///< Zeros on each side, in elements.
  int64_t dilation = 1;  ///< Distance between filter taps, in elements.
  int64_t groups = 1;    ///< Channels are split into this many independent convolutions.
};

/// The same for sequences: input [n, c, l], weight [k, c / groups, s], bias [k] or undefined -> [n, k, l']. It runs as
/// `conv2d` on images of height 1, in whose shapes its errors speak; throws like `conv2d`.
Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias = {}, const Conv1dOptions& options = {});

/// Options of `conv_transpose2d`.
struct ConvTranspose2dOptions {
  Size2 stride = 1;          ///< Step of the filter in the output, in pixels.
  Size2 padding = 0;         ///< Pixels that are cut off on each side of the output.
  Size2 output_padding = 0;  ///< Pixels added at the bottom and the right of the output, below the stride.
  Size2 dilation = 1;        ///< Distance between filter taps, in pixels.
  int64_t groups = 1;        ///< Channels are split into this many independent convolutions.
};

/// The transpose of a convolution, which enlarges images (Zeiler et al., "Deconvolutional networks", CVPR 2010): input
/// [n, c, h, w], weight [c, k / groups, r, s], bias [k] or undefined -> [n, k, h', w'] with h' = (h - 1) stride -
/// 2 padding + dilation (r - 1) + output_padding + 1. Throws ShapeError, DTypeError unless floating, ArgumentError.
Tensor conv_transpose2d(const Tensor& input, const Tensor& weight, const Tensor& bias = {},
                        const ConvTranspose2dOptions& options = {});

/// Channels turned into pixels, which enlarges images after an ordinary convolution: [n, c factor^2, h, w] -> [n, c,
/// h factor, w factor] (Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel
/// convolutional neural network", CVPR 2016). Throws ShapeError, ArgumentError for a factor below 1.
Tensor pixel_shuffle(const Tensor& input, int64_t factor);

}  // namespace dnn
