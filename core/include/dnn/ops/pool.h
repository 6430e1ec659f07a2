// Pooling of images.
#pragma once

#include "dnn/ops/conv.h"
#include "dnn/tensor.h"

namespace dnn {

/// Options of `max_pool2d` and `avg_pool2d`.
struct Pool2dOptions {
  Size2 kernel = 2;                ///< Window, in pixels.
  Size2 stride = 0;                ///< Step of the window, in pixels; 0 means the kernel's size.
  Size2 padding = 0;               ///< Border on each side, in pixels, at most half the kernel.
  bool count_include_pad = true;   ///< Averages only: divide by the whole window, also at the border.
};

/// Largest element of each window: [n, c, h, w] -> [n, c, h', w'] with h' = (h + 2 padding - kernel) / stride + 1. The
/// border counts as minus infinity; the gradient goes to the first of equals; NaN wins. Throws ShapeError, ArgumentError.
Tensor max_pool2d(const Tensor& input, const Pool2dOptions& options = {});
/// Mean of each window, the border being zeros: shapes as `max_pool2d`. Throws ShapeError, ArgumentError.
Tensor avg_pool2d(const Tensor& input, const Pool2dOptions& options = {});

}  // namespace dnn
