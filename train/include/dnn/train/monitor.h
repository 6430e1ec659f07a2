// Monitor: a number of the history that a callback follows, and the best one so far.
#pragma once

#include <string>

#include "dnn/state_dict.h"
#include "dnn/train/history.h"

namespace dnn {

class Trainer;

/// Which numbers are better ones.
enum class Better {
  automatic,  ///< Lower for losses and for metrics that say so, else higher.
  lower,
  higher,
};

/// Follows one number of the epochs: "loss", "val_accuracy", a metric's name, or "val_" and that name. NaN is never an
/// improvement.
class Monitor {
 public:
  /// `owner` is for messages; a number has to be better than the best one by more than `min_delta` to count. Throws
  /// ArgumentError unless min_delta is at least 0.
  Monitor(std::string owner, std::string name, Better better = Better::automatic, double min_delta = 0);

  /// To be called in `on_fit_begin`: throws ArgumentError with the names that there are when this is none of them.
  void begin(const Trainer& trainer);
  /// The number of an epoch. Throws ArgumentError when it turns out that there is none.
  double value(const EpochStats& stats) const;
  /// Takes the next epoch; whether it is the best one so far.
  bool improves(const EpochStats& stats);
  /// Whether larger numbers are better; known from `begin` on.
  bool higher_is_better() const { return higher_; }
  /// The best number; NaN when there is none.
  double best() const { return best_; }
  /// Its epoch, from 1; 0 when there is none.
  int64_t best_epoch() const { return best_epoch_; }
  /// The number's name.
  const std::string& name() const { return name_; }

  /// The best number and its epoch.
  StateDict state_dict() const;
  /// Goes on where another one was. Throws ArgumentError; then nothing has changed.
  void load_state_dict(const StateDict& state);

 private:
  std::string owner_, name_;
  Better better_;
  double min_delta_;
  bool higher_ = false;
  double best_ = EpochStats::none;
  int64_t best_epoch_ = 0;
};

}  // namespace dnn
