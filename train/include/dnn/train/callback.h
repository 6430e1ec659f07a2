// Callbacks: what happens around the steps of a Trainer.
#pragma once

#include "dnn/train/history.h"

namespace dnn {

class Trainer;

/// Called by `Trainer::fit` at its points; derive from it and override what you need. A callback may read the trainer,
/// change the learning rate and call `Trainer::stop`; what it throws ends `fit`.
class Callback {
 public:
  virtual ~Callback() = default;
  virtual void on_fit_begin(Trainer&) {}                     ///< Before the first epoch.
  virtual void on_epoch_begin(Trainer&) {}                   ///< Before the first step of an epoch.
  virtual void on_step_begin(Trainer&) {}                    ///< Before each step.
  virtual void on_step_end(Trainer&) {}                      ///< After each step.
  virtual void on_validation_begin(Trainer&) {}              ///< After the last step, if there is validation data.
  virtual void on_epoch_end(Trainer&, const EpochStats&) {}  ///< After validation, before the checkpoint.
  virtual void on_fit_end(Trainer&) {}                       ///< After the last epoch, also after `stop`.
  virtual void on_fit_failed(Trainer&) noexcept {}           ///< Instead of it, when an exception leaves `fit`.
};

}  // namespace dnn
