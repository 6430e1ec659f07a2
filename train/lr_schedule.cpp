// Schedules as callbacks.
#include "dnn/train/lr_schedule.h"

#include "dnn/error.h"
#include "dnn/train/trainer.h"

namespace dnn {

LrSchedule per_epoch(Schedule schedule) {
  if (!schedule) throw ArgumentError("per_epoch: the schedule is empty, expected a function of the epoch");
  return LrSchedule([schedule = std::move(schedule)](const RunPosition& at) { return schedule(at.epoch); });
}

LearningRateSchedule::LearningRateSchedule(LrSchedule schedule) : schedule_(std::move(schedule)) {
  if (!schedule_) throw ArgumentError("learning_rate_schedule: the schedule is empty, expected a function");
}

void LearningRateSchedule::on_step_begin(Trainer& trainer) { trainer.scale_lr(schedule_(trainer.position())); }

ReduceLrOnPlateau::ReduceLrOnPlateau(const ReduceLrOptions& options)
    : monitor_("reduce_lr_on_plateau", options.monitor, options.better),
      plateau_({.factor = options.factor,
                .patience = options.patience,
                .threshold = options.threshold,
                .cooldown = options.cooldown,
                .min_factor = options.min_factor}) {}

void ReduceLrOnPlateau::on_fit_begin(Trainer& trainer) { monitor_.begin(trainer); }
void ReduceLrOnPlateau::on_step_begin(Trainer& trainer) { trainer.scale_lr(plateau_.factor()); }

void ReduceLrOnPlateau::on_epoch_end(Trainer&, const EpochStats& stats) {
  const double value = monitor_.value(stats);
  plateau_.step(monitor_.higher_is_better() ? -value : value);
}

}  // namespace dnn
