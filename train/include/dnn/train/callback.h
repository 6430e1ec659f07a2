// Callbacks: what happens around the steps of a Trainer.
#pragma once

#include <span>
#include <string>

#include "dnn/data/dataset.h"
#include "dnn/state_dict.h"
#include "dnn/train/history.h"

namespace dnn {

class Trainer;

/// Called by `Trainer::fit` at its points; derive from it and override what you need. A callback may read the trainer,
/// change the learning rate and call `Trainer::stop`; what it throws ends `fit`. A step into which one of them looks
/// with `on_update` is not captured.
class Callback {
 public:
  virtual ~Callback() = default;
  virtual void on_fit_begin(Trainer&) {}    ///< Before the first epoch.
  virtual void on_epoch_begin(Trainer&) {}  ///< Before the first step of an epoch.
  virtual void on_step_begin(Trainer&) {}   ///< Before each step.
  /// When the gradients of a step are there, not clipped, and the weights have not changed yet: its batches and their
  /// mean loss [].
  virtual void on_update(Trainer&, std::span<const Batch> /*batches*/, const Tensor& /*loss*/) {
    ignores_updates_ = true;
  }
  /// Whether an overridden `on_update` has anything to do in the step that begins, which is then not captured.
  virtual bool wants_update(const Trainer&) const { return true; }
  virtual void on_step_end(Trainer&) {}                      ///< After each step.
  virtual void on_validation_begin(Trainer&) {}              ///< After the last step, if there is validation data.
  virtual void on_validation_end(Trainer&) {}                ///< After it, also when a signal cut it short.
  virtual void on_epoch_end(Trainer&, const EpochStats&) {}  ///< After validation.
  /// After each step and each epoch, when every callback has seen it: the moment to write checkpoints.
  virtual void on_checkpoint(Trainer&) {}
  virtual void on_fit_end(Trainer&) {}              ///< After the last epoch, also after `stop`.
  virtual void on_fit_failed(Trainer&) noexcept {}  ///< Instead of it, when an exception leaves `fit`.

  /// What it is called in checkpoints, e.g. "early_stopping".
  virtual std::string name() const { return "callback"; }
  /// What it has to remember for a run to go on exactly, e.g. the best loss so far; saved in every checkpoint.
  virtual StateDict state_dict() const { return {}; }
  /// Goes on where another one was; `Trainer::resume` calls it when the checkpoint has a state for it. Throws
  /// ArgumentError for a state that is none of its own; then nothing has changed.
  virtual void load_state_dict(const StateDict&) {}

 private:
  friend class Trainer;
  bool ignores_updates_ = false;  // that `on_update` is not overridden shows when it is called
};

}  // namespace dnn
