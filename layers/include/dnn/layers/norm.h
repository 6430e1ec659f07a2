// Normalisation: of batches (Ioffe & Szegedy, "Batch normalization", ICML 2015) and of single samples.
//
// All of them keep their parameters in float32 when the net is converted to a 16-bit type.
#pragma once

#include "dnn/layer.h"
#include "dnn/ops/norm.h"
#include "dnn/ops/pool.h"

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
  bool may_be_missing(const std::string& name) const override { return name == "num_batches_tracked"; }
  /// Added to the variance.
  double eps() const { return options_.eps; }

 protected:
  /// Throws ArgumentError unless there is a channel, eps is positive and the momentum is in [0, 1].
  BatchNorm(const char* name, int64_t channels, const BatchNormLayerOptions& options);
  Tensor normalize(Tensor x, const Epilogue& epilogue);
  BatchNormOptions operation(const Epilogue& epilogue) const;

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
  /// max_pool2d(relu(layer(x)), pool), in one where nobody looks at what is in between (no hook) and the device can.
  Tensor relu_max_pool(Tensor x, const Pool2dOptions& pool);
};

/// Batch normalisation of features [n, channels] or sequences [n, channels, length].
class BatchNorm1d : public BatchNorm {
 public:
  DNN_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)

  explicit BatchNorm1d(int64_t channels, const BatchNormLayerOptions& options = {})
      : BatchNorm("BatchNorm1d", channels, options) {}
  Tensor forward_fused(Tensor x, const Epilogue& epilogue) override;
};

/// What the layers that normalise each sample on its own have in common.
class SampleNorm : public Layer {
 public:
  Parameter weight;  ///< Starts as 1; undefined when there is none
  Parameter bias;    ///< Starts as 0; undefined when there is none

  DType storage_dtype(DType requested) const override;

 protected:
  /// Makes the parameters. Throws ArgumentError unless eps is positive.
  SampleNorm(const char* name, const Shape& sizes, double eps, bool with_weight, bool with_bias);
  double eps_;
};

/// Options of `LayerNorm`.
struct LayerNormLayerOptions {
  double eps = 1e-5;               ///< Added to the variance.
  bool elementwise_affine = true;  ///< Whether there are parameters.
  bool bias = true;                ///< Whether there is a bias among them.
};

/// Normalisation over the last dimensions: see `layer_norm`.
class LayerNorm : public SampleNorm {
 public:
  DNN_MODULE(weight, bias)
  /// Over the last dimension. Throws ArgumentError unless it is at least 1.
  explicit LayerNorm(int64_t features, const LayerNormLayerOptions& options = {})
      : LayerNorm(Shape{features}, options) {}
  /// Over the last dimensions, which must have these sizes. Throws ArgumentError unless all are at least 1.
  explicit LayerNorm(const Shape& normalized_shape, const LayerNormLayerOptions& options = {});
  Tensor forward(Tensor x) override { return layer_norm(x, sizes_, weight, bias, {.eps = eps_}); }
  std::string describe() const override;

 private:
  Shape sizes_;
};

/// Options of `GroupNorm`.
struct GroupNormLayerOptions {
  double eps = 1e-5;   ///< Added to the variance.
  bool affine = true;  ///< Whether there are parameters.
};

/// Normalisation over groups of channels: see `group_norm`.
class GroupNorm : public SampleNorm {
 public:
  DNN_MODULE(weight, bias)
  /// Throws ArgumentError unless `groups` divides `channels`.
  GroupNorm(int64_t groups, int64_t channels, const GroupNormLayerOptions& options = {});
  Tensor forward(Tensor x) override { return group_norm(x, groups_, weight, bias, {.eps = eps_}); }
  std::string describe() const override;

 private:
  int64_t groups_, channels_;
};

/// Options of `InstanceNorm1d` and `InstanceNorm2d`. There are no running statistics: evaluation computes what training
/// does.
struct InstanceNormLayerOptions {
  double eps = 1e-5;    ///< Added to the variance.
  bool affine = false;  ///< Whether there are parameters.
};

/// What the two have in common.
class InstanceNorm : public SampleNorm {
 public:
  Tensor forward(Tensor x) override;
  std::string describe() const override;

 protected:
  /// `rank` is that of the inputs. Throws ArgumentError unless there is a channel.
  InstanceNorm(const char* name, int rank, int64_t channels, const InstanceNormLayerOptions& options);

 private:
  int rank_;
  int64_t channels_;
};

/// Normalisation over each channel of each image [n, channels, h, w]: see `instance_norm`.
class InstanceNorm2d : public InstanceNorm {
 public:
  DNN_MODULE(weight, bias)
  explicit InstanceNorm2d(int64_t channels, const InstanceNormLayerOptions& options = {})
      : InstanceNorm("InstanceNorm2d", 4, channels, options) {}
};

/// The same for sequences [n, channels, length].
class InstanceNorm1d : public InstanceNorm {
 public:
  DNN_MODULE(weight, bias)
  explicit InstanceNorm1d(int64_t channels, const InstanceNormLayerOptions& options = {})
      : InstanceNorm("InstanceNorm1d", 3, channels, options) {}
};

/// Local response normalisation: see `local_response_norm`.
class LocalResponseNorm : public Layer {
 public:
  DNN_MODULE()
  /// Throws ArgumentError unless `size` is at least 1: `LocalResponseNorm({.size = 5, .k = 2})`.
  explicit LocalResponseNorm(const LocalResponseNormOptions& options);
  Tensor forward(Tensor x) override { return local_response_norm(x, options_); }
  std::string describe() const override;

 private:
  LocalResponseNormOptions options_;
};

}  // namespace dnn
