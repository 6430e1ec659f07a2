// Counting epochs without improvement.
#include "dnn/train/early_stopping.h"

#include <fmt/format.h>

#include "dnn/error.h"
#include "dnn/train/trainer.h"
#include "train/state_numbers.h"

namespace dnn {

EarlyStopping::EarlyStopping(const EarlyStoppingOptions& options)
    : options_(options), monitor_("early_stopping", options.monitor, options.better, options.min_delta) {
  if (options.patience < 1)
    throw ArgumentError(fmt::format("early_stopping: patience is {}, expected at least 1", options.patience));
}

void EarlyStopping::on_fit_begin(Trainer& trainer) {
  monitor_.begin(trainer);
  if (!stopped()) return;
  if (loaded_)
    trainer.finish();
  else
    bad_ = 0;
}

void EarlyStopping::on_epoch_end(Trainer& trainer, const EpochStats& stats) {
  if (monitor_.improves(stats)) {
    bad_ = 0;
    if (options_.restore_best) weights_ = trainer.net().state_dict().clone();
  } else if (++bad_ >= options_.patience) {
    trainer.finish();
  }
}

void EarlyStopping::on_fit_end(Trainer& trainer) {
  loaded_ = false;
  if (trainer.complete() && !weights_.empty()) trainer.net().load_state_dict(weights_);
}

StateDict EarlyStopping::state_dict() const {
  StateDict state = monitor_.state_dict();
  state.insert("bad", state_number(bad_));
  state.insert("weights.", weights_);
  return state;
}

void EarlyStopping::load_state_dict(const StateDict& state) {
  const int64_t bad = state_count(state, "early_stopping", "bad");
  monitor_.load_state_dict(state);
  bad_ = bad;
  weights_ = options_.restore_best ? state.with_prefix("weights.").clone() : StateDict();
  loaded_ = true;
}

}  // namespace dnn
