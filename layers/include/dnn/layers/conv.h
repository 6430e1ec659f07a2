// The convolution layer.
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
/// in
/// +-1 / sqrt(fan), fan being the number of inputs that an output sees.
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

  /// The same convolution with another weight and bias.
  Tensor convolve(const Tensor& x, const Tensor& weight, const Tensor& bias, const Epilogue& epilogue) const;

 private:
  int64_t in_;
  ConvLayerOptions options_;
};

}  // namespace dnn
