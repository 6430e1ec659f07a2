// EarlyStopping: ends training when a number of the history has stopped getting better.
#pragma once

#include <string>

#include "dnn/train/callback.h"
#include "dnn/train/monitor.h"

namespace dnn {

/// Options of `EarlyStopping`.
struct EarlyStoppingOptions {
  std::string monitor = "val_loss";   ///< The number that is followed (see `Monitor`).
  int64_t patience = 3;               ///< Epochs in a row without improvement after which training ends.
  double min_delta = 0;               ///< What counts as an improvement is larger than this.
  Better better = Better::automatic;  ///< Which numbers are better ones.
  bool restore_best = false;          ///< Whether the net gets the weights of the best epoch when training ends.
};

/// Ends training after `patience` epochs in a row without improvement (Prechelt, "Early stopping - but when?", 1998).
/// The weights of the best epoch are put back when it ends training, or when the last epoch is done; not after `stop`
/// or Ctrl-C, after which training goes on. A run that it has ended stays ended when it is resumed; another `fit`
/// without `resume` has its patience again.
class EarlyStopping : public Callback {
 public:
  /// Throws ArgumentError unless patience is at least 1 and min_delta at least 0.
  explicit EarlyStopping(const EarlyStoppingOptions& options = {});

  /// Throws ArgumentError when there is no such number.
  void on_fit_begin(Trainer& trainer) override;
  void on_epoch_end(Trainer& trainer, const EpochStats& stats) override;
  void on_fit_end(Trainer& trainer) override;
  std::string name() const override { return "early_stopping"; }
  StateDict state_dict() const override;
  void load_state_dict(const StateDict& state) override;

  /// Whether it has ended training.
  bool stopped() const { return bad_ >= options_.patience; }
  /// The best number so far and its epoch.
  const Monitor& monitor() const { return monitor_; }

 private:
  EarlyStoppingOptions options_;
  Monitor monitor_;
  int64_t bad_ = 0;      // epochs in a row without improvement
  bool loaded_ = false;  // since the last fit
  StateDict weights_;    // of the best epoch, if they are to be put back
};

}  // namespace dnn
