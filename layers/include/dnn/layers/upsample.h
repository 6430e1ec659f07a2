// The layer that enlarges images without weights.
#pragma once

#include "dnn/layer.h"
#include "dnn/ops/interpolate.h"

namespace dnn {

/// The image in another size: [n, c, h, w] -> [n, c, h', w'], see `interpolate`: `Upsample({.scale = 2})`.
class Upsample : public Layer {
 public:
  DNN_MODULE()
  /// Throws ArgumentError unless just one of size and scale is given, and it is positive, and for align_corners
  /// without bilinear mode.
  explicit Upsample(const InterpolateOptions& options);
  Tensor forward(Tensor x) override { return interpolate(x, options_); }
  std::string describe() const override;

 private:
  InterpolateOptions options_;
};

}  // namespace dnn
