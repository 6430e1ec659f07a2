// Which names there are, the trainer knows; everything else is one comparison.
#include "dnn/train/monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dnn/error.h"
#include "dnn/train/trainer.h"
#include "train/state_numbers.h"

namespace dnn {

Monitor::Monitor(std::string owner, std::string name, Better better, double min_delta)
    : owner_(std::move(owner)), name_(std::move(name)), better_(better), min_delta_(min_delta) {
  if (!(min_delta >= 0))
    throw ArgumentError(fmt::format("{}: min_delta is {}, expected at least 0", owner_, min_delta));
}

void Monitor::begin(const Trainer& trainer) {
  const std::vector<std::string> names = trainer.monitors();
  if (std::find(names.begin(), names.end(), name_) == names.end()) {
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    throw ArgumentError(
        fmt::format("{}: there is no '{}' to monitor, expected one of {}{}", owner_, name_, list,
                    name_.starts_with("val_") && !trainer.validates() ? " (fit was given no validation data)" : ""));
  }
  higher_ = better_ == Better::automatic ? trainer.higher_is_better(name_) : better_ == Better::higher;
}

double Monitor::value(const EpochStats& stats) const {
  const double value = stats.find(name_).value_or(EpochStats::none);
  if (std::isnan(value) && name_.ends_with("accuracy") && name_.size() <= std::string("val_accuracy").size())
    throw ArgumentError(fmt::format("{}: there is no '{}' to monitor, the targets are no classes (epoch {})", owner_,
                                    name_, stats.epoch));
  return value;
}

bool Monitor::improves(const EpochStats& stats) {
  const double now = value(stats);
  const double gain = higher_ ? now - best_ : best_ - now;
  if (std::isnan(now) || !(std::isnan(best_) || gain > min_delta_)) return false;
  best_ = now;
  best_epoch_ = stats.epoch;
  return true;
}

StateDict Monitor::state_dict() const {
  return {{"best", state_number(best_)}, {"best_epoch", state_number(best_epoch_)}};
}

void Monitor::load_state_dict(const StateDict& state) {
  const double best = state_value(state, owner_.c_str(), "best");
  best_epoch_ = state_count(state, owner_.c_str(), "best_epoch");
  best_ = best;
}

}  // namespace dnn
