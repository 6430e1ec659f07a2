// What a Trainer saves and brings back: net, optimizer, position, random numbers, history, and under names of their own
//
//   epoch.*             sums, seconds and learning rate of the running epoch, if it is not complete
//   metrics.<name>.*    what the user's metrics have gathered in it
//   callbacks.<name>.*  what callbacks remember; the second one of a name is "<name>_2"
//   scaler.*            the scale of the loss, with float16
#include <fmt/format.h>

#include <map>

#include "dnn/random.h"
#include "dnn/train/checkpoint.h"
#include "dnn/train/trainer.h"
#include "train/state_numbers.h"

namespace dnn {
namespace {

// The prefix of each callback's state.
std::vector<std::string> prefixes_of(const std::vector<std::shared_ptr<Callback>>& callbacks) {
  std::vector<std::string> prefixes;
  std::map<std::string, int> seen;
  for (const auto& callback : callbacks) {
    const std::string name = callback->name();
    const int count = ++seen[name];
    prefixes.push_back("callbacks." + name + (count == 1 ? "" : fmt::format("_{}", count)) + ".");
  }
  return prefixes;
}

}  // namespace

void Trainer::save(const std::string& path) const {
  if (validating_)
    throw ArgumentError(
        "trainer: save during validation, expected it in on_checkpoint: weights and metrics may be others");
  if (within_launch_)
    throw ArgumentError(
        fmt::format("trainer: save in on_step_end of step {}, expected it in on_checkpoint where one launch makes {} "
                    "steps, whose weights are those after the last",
                    step_, options_.steps_per_launch));
  save_checkpoint(path, net_, *optimizer_,
                  {.epoch = epoch_,
                   .batch = batch_,
                   .step = step_,
                   .history = history_,
                   .training = training_state(),
                   .metadata = options_.metadata});
}

void Trainer::save_checkpoint_file() const {
  if (!options_.checkpoint.empty()) save(options_.checkpoint);
}

void Trainer::resume(const std::string& path) {
  const StateDict net = net_.state_dict().clone(), optimizer = optimizer_->state_dict().clone();
  const StateDict training = training_state().clone();
  TrainingState state = load_checkpoint(path, net_, *optimizer_);
  try {
    set_training_state(state.training);
  } catch (...) {
    set_training_state(training);
    net_.load_state_dict(net);
    optimizer_->load_state_dict(optimizer);
    throw;
  }
  epoch_ = state.epoch;
  batch_ = state.batch;
  step_ = state.step;
  history_ = std::move(state.history);
  default_generator() = state.generator;
  resumed_ = true;
}

// The sums over the running epoch.
StateDict Trainer::gathered() const {
  StateDict state;
  state.insert("epoch.loss.", loss_.state_dict());
  state.insert("epoch.accuracy.", accuracy_.state_dict());
  for (const auto& metric : options_.metrics) state.insert("metrics." + metric->name() + ".", metric->state_dict());
  return state;
}

// A metric that the state does not know begins anew.
void Trainer::set_gathered(const StateDict& state) {
  loss_.load_state_dict(state.with_prefix("epoch.loss."));
  accuracy_.load_state_dict(state.with_prefix("epoch.accuracy."));
  for (const auto& metric : options_.metrics) {
    const StateDict part = state.with_prefix("metrics." + metric->name() + ".");
    part.empty() ? metric->reset() : metric->load_state_dict(part);
  }
}

StateDict Trainer::training_state() const {
  StateDict state;
  if (gathering_) {
    state.insert("", gathered());
    state.insert("epoch.seconds", state_number(seconds()));
    state.insert("epoch.lr", state_number(lr_));
  }
  if (scaler_.options().enabled) state.insert("scaler.", scaler_.state_dict());
  const std::vector<std::string> prefixes = prefixes_of(callbacks_);
  for (size_t i = 0; i < callbacks_.size(); ++i) state.insert(prefixes[i], callbacks_[i]->state_dict());
  return state;
}

void Trainer::set_training_state(const StateDict& state) {
  const bool inside = state.contains("epoch.seconds");
  if (inside) {
    const double seconds = state_value(state, "trainer", "epoch.seconds"),
                 lr = state_value(state, "trainer", "epoch.lr");
    set_gathered(state);
    elapsed_ = seconds;
    lr_ = lr;
  }
  gathering_ = inside;
  if (const StateDict scaler = state.with_prefix("scaler."); scaler_.options().enabled && !scaler.empty())
    scaler_.load_state_dict(scaler);
  const std::vector<std::string> prefixes = prefixes_of(callbacks_);
  for (size_t i = 0; i < callbacks_.size(); ++i) {
    const StateDict part = state.with_prefix(prefixes[i]);
    if (!part.empty()) callbacks_[i]->load_state_dict(part);
  }
}

}  // namespace dnn
