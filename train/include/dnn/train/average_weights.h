// AverageWeights: validation with the exponential moving average of the weights, which often does better.
#pragma once

#include <optional>
#include <string>

#include "dnn/optim/ema.h"
#include "dnn/train/callback.h"

namespace dnn {

/// Options of `AverageWeights`.
struct AverageWeightsOptions {
  double decay = 0.999;      ///< Share of the average that stays in a step.
  int64_t start = 0;         ///< Steps before the average begins, with the weights as they are then.
  bool keep_at_end = false;  ///< Whether the net has the averages when the run is complete (`Trainer::complete`).
};

/// Averages the weights after each step (see `Ema`) and puts the averages into the net while it is validated; training
/// itself does not change. Checkpoints hold both. Beside an EarlyStopping with `restore_best`, whose weights are those
/// that training had, the callback that comes later decides which ones the net has at the end.
class AverageWeights : public Callback {
 public:
  /// Throws ArgumentError unless 0 <= decay < 1 and start is at least 0.
  explicit AverageWeights(const AverageWeightsOptions& options = {});

  /// Throws ArgumentError when the averages that were loaded are those of another net, and when a launch makes several
  /// steps, between which nobody sees the weights.
  void on_fit_begin(Trainer& trainer) override;
  void on_step_end(Trainer& trainer) override;
  void on_validation_begin(Trainer& trainer) override;
  void on_validation_end(Trainer& trainer) override;
  void on_fit_end(Trainer& trainer) override;
  void on_fit_failed(Trainer& trainer) noexcept override;
  std::string name() const override { return "average_weights"; }
  StateDict state_dict() const override { return averages(); }
  void load_state_dict(const StateDict& state) override;

  /// The averages under the names of the weights, a shared one once, for `net.load_state_dict(averages, {.strict =
  /// false})`; empty before they begin.
  const StateDict& averages() const { return ema_ ? ema_->state_dict() : loaded_; }

 private:
  void swap();

  AverageWeightsOptions options_;
  std::optional<Ema> ema_;
  StateDict loaded_;      // averages that wait for the net of the next fit
  bool swapped_ = false;  // whether the net has the averages
};

}  // namespace dnn
