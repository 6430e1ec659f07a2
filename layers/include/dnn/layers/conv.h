// Convolution layers.
#pragma once

#include "dnn/layer.h"
#include "dnn/ops/conv.h"

namespace dnn {

/// Options of `Conv2d`.
struct ConvLayerOptions {
  Size2 kernel = 0;    ///< Size of the filter, in pixels; must be given.
  Size2 stride = 1;    ///< Step of the filter, in pixels.
  Size2 padding = 0;   ///< Zeros on each side, in pixels.
  Size2 dilation = 1;  ///< Distance between filter taps, in pixels.
  int64_t groups = 1;  ///< Channels are split into this many independent convolutions.
  bool bias = true;    ///< Whether a bias is added.
};

/// Convolution of images: [n, in, h, w] -> [n, out, h', w'], sizes as `conv2d` has them. Weight and bias start uniform
/// in +-1 / sqrt(fan), fan being the number of inputs that an output sees.
class Conv2d : public FusableLayer {
 public:
  Parameter weight;  ///< [out, in / groups, kernel.h, kernel.w]
  Parameter bias;    ///< [out], undefined when there is none
  DNN_MODULE(weight, bias)

  /// Throws ArgumentError when a size is below 1, the padding is negative, or the groups divide not both channel
  /// counts.
  Conv2d(int64_t in, int64_t out, const ConvLayerOptions& options);
  Tensor forward_fused(Tensor x, const Epilogue& epilogue) override { return convolve(x, weight, bias, epilogue); }
  std::string describe() const override;
  int64_t macs(const Shape& input, const Shape& output) const override;

  /// What `conv2d` is called with.
  Conv2dOptions operation(const Epilogue& epilogue) const;
  /// The same convolution with another weight and bias.
  Tensor convolve(const Tensor& x, const Tensor& weight, const Tensor& bias, const Epilogue& epilogue) const;

 private:
  int64_t in_;
  ConvLayerOptions options_;
};

/// Options of `Conv1d`.
struct Conv1dLayerOptions {
  int64_t kernel = 0;    ///< Size of the filter, in elements; must be given.
  int64_t stride = 1;    ///< Step of the filter, in elements.
  int64_t padding = 0;   ///< Zeros on each side, in elements.
  int64_t dilation = 1;  ///< Distance between filter taps, in elements.
  int64_t groups = 1;    ///< Channels are split into this many independent convolutions.
  bool bias = true;      ///< Whether a bias is added.
};

/// Convolution of sequences: [n, in, l] -> [n, out, l'], sizes as `conv1d` has them; starts like `Conv2d`.
class Conv1d : public Layer {
 public:
  Parameter weight;  ///< [out, in / groups, kernel]
  Parameter bias;    ///< [out], undefined when there is none
  DNN_MODULE(weight, bias)

  /// Throws like `Conv2d`.
  Conv1d(int64_t in, int64_t out, const Conv1dLayerOptions& options);
  Tensor forward(Tensor x) override;
  std::string describe() const override;
  int64_t macs(const Shape& input, const Shape& output) const override;

 private:
  int64_t in_;
  Conv1dLayerOptions options_;
};

/// Options of `ConvTranspose2d`.
struct ConvTransposeLayerOptions {
  Size2 kernel = 0;          ///< Size of the filter, in pixels; must be given.
  Size2 stride = 1;          ///< Step of the filter in the output, in pixels.
  Size2 padding = 0;         ///< Pixels that are cut off on each side of the output.
  Size2 output_padding = 0;  ///< Pixels added at the bottom and the right of the output, below the stride.
  Size2 dilation = 1;        ///< Distance between filter taps, in pixels.
  int64_t groups = 1;        ///< Channels are split into this many independent convolutions.
  bool bias = true;          ///< Whether a bias is added.
};

/// The transpose of a convolution, which enlarges images: [n, in, h, w] -> [n, out, h', w'], sizes as
/// `conv_transpose2d` has them. Weight and bias start uniform in +-1 / sqrt(fan), fan being the elements of the weight
/// per input channel.
class ConvTranspose2d : public Layer {
 public:
  Parameter weight;  ///< [in, out / groups, kernel.h, kernel.w]
  Parameter bias;    ///< [out], undefined when there is none
  DNN_MODULE(weight, bias)

  /// Throws like `Conv2d`, and ArgumentError when the output padding reaches the stride.
  ConvTranspose2d(int64_t in, int64_t out, const ConvTransposeLayerOptions& options);
  Tensor forward(Tensor x) override;
  std::string describe() const override;
  int64_t macs(const Shape& input, const Shape& output) const override;

 private:
  int64_t out_;
  ConvTransposeLayerOptions options_;
};

/// Channels turned into pixels: see `pixel_shuffle`.
class PixelShuffle : public Layer {
 public:
  DNN_MODULE()
  explicit PixelShuffle(int64_t factor) : factor_(factor) {}
  Tensor forward(Tensor x) override { return pixel_shuffle(x, factor_); }
  std::string describe() const override { return std::to_string(factor_); }

 private:
  int64_t factor_;
};

}  // namespace dnn
