// The net has the averages between the two ends of a validation, and nowhere else.
#include "dnn/train/average_weights.h"

#include <fmt/format.h>

#include "dnn/error.h"
#include "dnn/train/trainer.h"

namespace dnn {
namespace {

// Parameters and buffers, one that is shared once: exchanged twice it would be as before.
StateDict tensors_of(const Module& net) {
  StateDict tensors = net.named_parameters();
  tensors.insert("", net.named_buffers());
  return tensors;
}

}  // namespace

AverageWeights::AverageWeights(const AverageWeightsOptions& options) : options_(options) {
  if (!(options.decay >= 0 && options.decay < 1))
    throw ArgumentError(fmt::format("average_weights: decay is {}, expected a number in [0, 1)", options.decay));
  if (options.start < 0)
    throw ArgumentError(fmt::format("average_weights: start is {}, expected at least 0", options.start));
}

// Made anew, because the net may have been moved since.
void AverageWeights::on_fit_begin(Trainer& trainer) {
  if (trainer.options().steps_per_launch > 1)
    throw ArgumentError(fmt::format("average_weights: steps_per_launch of the trainer is {}, expected 1",
                                    trainer.options().steps_per_launch));
  const StateDict before = averages();
  if (before.empty() && trainer.step() < options_.start) return;
  Ema ema(tensors_of(trainer.net()), {.decay = options_.decay});
  if (!before.empty()) ema.load_state_dict(before);
  ema_ = std::move(ema);
  loaded_ = {};
}

void AverageWeights::on_step_end(Trainer& trainer) {
  if (ema_)
    ema_->update();
  else if (trainer.step() >= options_.start)
    ema_.emplace(tensors_of(trainer.net()), EmaOptions{.decay = options_.decay});
}

void AverageWeights::on_validation_begin(Trainer&) {
  if (ema_) swap();
}

void AverageWeights::on_validation_end(Trainer&) {
  if (swapped_) swap();
}

void AverageWeights::on_fit_end(Trainer& trainer) {
  if (options_.keep_at_end && ema_ && trainer.complete())
    trainer.net().load_state_dict(ema_->state_dict(), {.strict = false});
}

void AverageWeights::on_fit_failed(Trainer&) noexcept {
  try {
    if (swapped_) swap();
  } catch (...) {  // the error that ended training is the one to report
  }
}

void AverageWeights::load_state_dict(const StateDict& state) {
  if (ema_)
    ema_->load_state_dict(state);
  else
    loaded_ = state.clone();
}

void AverageWeights::swap() {
  ema_->swap();
  swapped_ = !swapped_;
}

}  // namespace dnn
