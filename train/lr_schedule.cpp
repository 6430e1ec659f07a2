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

}  // namespace dnn
