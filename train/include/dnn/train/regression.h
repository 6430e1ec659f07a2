// Metrics of regression.
#pragma once

#include <string>

#include "dnn/train/metric.h"

namespace dnn {

/// What the metrics of regression share: a mean over all elements; lower is better.
class MeanMetric : public Metric {
 public:
  std::string name() const override { return name_; }
  void reset() override { mean_.reset(); }
  double value() const override { return mean_.value(); }
  bool higher_is_better() const override { return false; }
  StateDict state_dict() const override { return mean_.state_dict(); }
  void load_state_dict(const StateDict& state) override { mean_.load_state_dict(state); }

 protected:
  explicit MeanMetric(std::string name) : name_(std::move(name)) {}
  RunningMean mean_;

 private:
  std::string name_;
};

/// The mean of |output - target|, "mae".
class MeanAbsoluteError : public MeanMetric {
 public:
  MeanAbsoluteError() : MeanMetric("mae") {}
  /// Takes outputs and targets of one shape. Throws ShapeError, DTypeError.
  void update(const Tensor& output, const Tensor& target) override;
};

/// The mean of (output - target)^2, "mse".
class MeanSquaredError : public MeanMetric {
 public:
  MeanSquaredError() : MeanMetric("mse") {}
  /// Takes outputs and targets of one shape. Throws ShapeError, DTypeError.
  void update(const Tensor& output, const Tensor& target) override;
};

}  // namespace dnn
