// Metrics: numbers that say how good predictions are, gathered over the batches of an epoch.
//
// They gather on the device and are read when somebody wants to know: no step waits for its metrics.
#pragma once

#include <cstdint>
#include <string>

#include "dnn/state_dict.h"
#include "dnn/tensor.h"

namespace dnn {

/// A number about predictions; derive from it to define one.
class Metric {
 public:
  virtual ~Metric() = default;
  /// What it is called in histories, e.g. "accuracy".
  virtual std::string name() const = 0;
  /// Forgets everything.
  virtual void reset() = 0;
  /// Takes one batch: outputs of the net [n, ...] and targets [n, ...], on one device.
  virtual void update(const Tensor& output, const Tensor& target) = 0;
  /// The number for all batches since `reset`; NaN when there was none. Waits for the device.
  virtual double value() const = 0;
  /// Whether a larger number is a better one: what "the best epoch" means to callbacks.
  virtual bool higher_is_better() const { return true; }
  /// What it has gathered, for checkpoints in the middle of an epoch; without it, the epoch that a resumed run begins
  /// with is measured from there on.
  virtual StateDict state_dict() const { return {}; }
  /// Goes on where another one was. Throws ArgumentError for a state that is none of its own; then nothing has changed.
  virtual void load_state_dict(const StateDict&) {}
};

/// The share of samples whose largest output is at their class, in [0, 1]. A label outside the classes counts as wrong;
/// TopKAccuracy(1) leaves it out.
class Accuracy : public Metric {
 public:
  std::string name() const override { return "accuracy"; }
  void reset() override;
  /// Takes outputs [n, classes] and classes [n] of an integer type, or probabilities [n, classes] (of mixed images,
  /// say), of which the largest counts. Throws ShapeError, DTypeError.
  void update(const Tensor& output, const Tensor& target) override;
  /// Takes a batch of so many samples of which it is known how many are right: a number [] on their device. Throws
  /// ArgumentError, ShapeError.
  void add(const Tensor& correct, int64_t samples);
  double value() const override;
  StateDict state_dict() const override;
  void load_state_dict(const StateDict& state) override;
  /// Whether the targets are classes for sure, one for each output. Floating ones may be anything, so Trainer tells no
  /// accuracy of them; for probabilities TopKAccuracy(1) among its metrics does.
  static bool applies(const Tensor& output, const Tensor& target);

 private:
  Tensor correct_;  // float64 [], on the device
  int64_t samples_ = 0;
};

/// The mean of numbers that lie on a device, each with a weight: of the losses of batches.
class RunningMean {
 public:
  /// Forgets everything.
  void reset();
  /// Takes a one-element tensor; throws ShapeError when it is none.
  void add(const Tensor& value, double weight);
  /// Takes the sum [] of numbers that weigh so much together. Throws ArgumentError, ShapeError.
  void add_sum(const Tensor& sum, double weight);
  /// The weighted mean; NaN when there was nothing. Waits for the device.
  double value() const;
  /// The sum and the weight.
  StateDict state_dict() const;
  /// Goes on where another one was. Throws ArgumentError for a state that is none of its own.
  void load_state_dict(const StateDict& state);

 private:
  Tensor sum_;  // float64 [], on the device
  double weight_ = 0;
};

}  // namespace dnn
