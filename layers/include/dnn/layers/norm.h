// Batch normalisation (Ioffe & Szegedy, "Batch normalization", ICML 2015).
#pragma once

#include "dnn/layer.h"

namespace dnn {

/// Options of `BatchNorm1d` and `BatchNorm2d`.
struct BatchNormLayerOptions {
  double eps = 1e-5;      ///< Added to the variance.
  double momentum = 0.1;  ///< Weight of the batch in the running statistics.
};

/// What the two have in common: in training every channel is normalised with the batch's mean and variance, in
/// evaluation with the running ones, then scaled and shifted.
class BatchNorm : public FusableLayer {
 public:
  Parameter weight;            ///< [channels], starts as 1
  Parameter bias;              ///< [channels], starts as 0
  Buffer running_mean;         ///< [channels], starts as 0
  Buffer running_var;          ///< [channels], starts as 1
  Buffer num_batches_tracked;  ///< int64 [], training batches seen

  std::string describe() const override;
  DType storage_dtype(DType requested) const override;
  /// Added to the variance.
  double eps() const { return options_.eps; }

 protected:
  /// Throws ArgumentError unless there is a channel, eps is positive and the momentum is in [0, 1].
  BatchNorm(const char* name, int64_t channels, const BatchNormLayerOptions& options);
  Tensor normalize(const Tensor& x, const Epilogue& epilogue);

 private:
  BatchNormLayerOptions options_;
};

/// Batch normalisation of images: [n, channels, h, w], or with what follows it: `bn(x, {.add = shortcut, .relu =
/// true})`.
class BatchNorm2d : public BatchNorm {
 public:
  DNN_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)

  explicit BatchNorm2d(int64_t channels, const BatchNormLayerOptions& options = {})
      : BatchNorm("BatchNorm2d", channels, options) {}
  Tensor forward_fused(Tensor x, const Epilogue& epilogue) override;
};

/// Batch normalisation of features [n, channels] or sequences [n, channels, length].
class BatchNorm1d : public BatchNorm {
 public:
  DNN_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)

  explicit BatchNorm1d(int64_t channels, const BatchNormLayerOptions& options = {})
      : BatchNorm("BatchNorm1d", channels, options) {}
  Tensor forward_fused(Tensor x, const Epilogue& epilogue) override;
};

}  // namespace dnn
