// The fully connected layer.
#pragma once

#include "dnn/layer.h"

namespace dnn {

/// Options of `Linear`.
struct LinearLayerOptions {
  bool bias = true;  ///< Whether a bias is added.
};

/// x W^T + b: [..., in] -> [..., out]. Weight [out, in] and bias [out] start uniform in +-1 / sqrt(in).
class Linear : public FusableLayer {
 public:
  Parameter weight;  ///< [out, in]
  Parameter bias;    ///< [out], undefined when there is none
  DNN_MODULE(weight, bias)

  /// Throws ArgumentError unless both sizes are at least 1.
  Linear(int64_t in, int64_t out, const LinearLayerOptions& options = {});
  Tensor forward_fused(Tensor x, const Epilogue& epilogue) override;
  std::string describe() const override;
  int64_t macs(const Shape& /*input*/, const Shape& output) const override { return output.numel() * weight.size(1); }
};

}  // namespace dnn
