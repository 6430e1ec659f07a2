// Pooling of images.
#pragma once

#include "dnn/ops/conv.h"
#include "dnn/ops/norm.h"
#include "dnn/tensor.h"

namespace dnn {

/// Options of `max_pool2d` and `avg_pool2d`.
struct Pool2dOptions {
  Size2 kernel = 2;               ///< Window, in pixels.
  Size2 stride = 0;               ///< Step of the window, in pixels; 0 means the kernel's size.
  Size2 padding = 0;              ///< Border on each side, in pixels, at most half the kernel.
  bool count_include_pad = true;  ///< Averages only: divide by the whole window, also at the border.
};

/// Largest element of each window: [n, c, h, w] -> [n, c, h', w'] with h' = (h + 2 padding - kernel) / stride + 1. The
/// border counts as minus infinity; the gradient goes to the first of equals; NaN wins. Throws ShapeError,
/// ArgumentError.
Tensor max_pool2d(const Tensor& input, const Pool2dOptions& options = {});
/// `max_pool2d(conv2d(input, weight, bias, conv), pool)`, which small networks on a GPU compute at once where the next
/// function says so: ReLU's and the convolution's results are then never written. Throws like the two.
Tensor conv2d_max_pool2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv2dOptions& conv,
                         const Pool2dOptions& pool);
/// Whether the device of the input has kernels for `conv2d_max_pool2d` of these.
bool fuses_conv2d_max_pool2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv2dOptions& conv,
                             const Pool2dOptions& pool);
/// `max_pool2d(batch_norm(input, weight, bias, running_mean, running_var, norm), pool)`, which a GPU computes at once in
/// training with ReLU alone, where the channels lie side by side: what is between the two is then never written. Throws
/// like the two, ShapeError unless the input is [n, c, h, w].
Tensor batch_norm_max_pool2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                             const Tensor& running_var, const BatchNormOptions& norm, const Pool2dOptions& pool);
/// Mean of each window, the border being zeros: shapes as `max_pool2d`. Throws ShapeError, ArgumentError.
Tensor avg_pool2d(const Tensor& input, const Pool2dOptions& options = {});

/// The largest element, or the mean, of bins that divide the image into `output` rows and columns: [n, c, h, w] ->
/// [n, c, output.h, output.w]. Bin i reaches from floor(i h / h') to ceil((i + 1) h / h'): bins overlap where the sizes
/// do not divide. One bin is global pooling. Throws ShapeError, ArgumentError.
Tensor adaptive_max_pool2d(const Tensor& input, Size2 output);
/// See `adaptive_max_pool2d`.
Tensor adaptive_avg_pool2d(const Tensor& input, Size2 output);

/// Options of `max_pool1d` and `avg_pool1d`.
struct Pool1dOptions {
  int64_t kernel = 2;             ///< Window, in elements.
  int64_t stride = 0;             ///< Step of the window, in elements; 0 means the kernel's size.
  int64_t padding = 0;            ///< Border on each side, in elements, at most half the kernel.
  bool count_include_pad = true;  ///< Averages only: divide by the whole window, also at the border.
};

/// Pooling of sequences [n, c, l] -> [n, c, l']. They run as `max_pool2d` and `avg_pool2d` on images of height 1, in
/// whose shapes their errors speak.
Tensor max_pool1d(const Tensor& input, const Pool1dOptions& options = {});
/// See `max_pool1d`.
Tensor avg_pool1d(const Tensor& input, const Pool1dOptions& options = {});

}  // namespace dnn
