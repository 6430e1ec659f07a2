// The training loop. Everything that is not forward, loss, backward and step is a callback or another file: the steps
// are in trainer_steps.cpp, what a checkpoint holds is in trainer_state.cpp.
#include "dnn/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "dnn/error.h"
#include "dnn/io.h"
#include "dnn/ops/loss.h"
#include "dnn/random.h"
#include "train/precision_scope.h"

namespace dnn {
namespace {

// The samples of an epoch.
int64_t samples_of(const DataLoader& loader) {
  const int64_t batches = loader.size() * loader.options().batch_size;
  return std::min(batches, loader.dataset().size());
}

}  // namespace

Trainer::Trainer(Layer& net, std::shared_ptr<Optimizer> optimizer, TrainerOptions options)
    : net_(net),
      optimizer_(std::move(optimizer)),
      options_(std::move(options)),
      given_loss_(options_.loss),
      scaler_({.enabled = options_.precision == Arithmetic::float16}) {
  if (!optimizer_) throw ArgumentError("trainer: optimizer is null");
  if (options_.epochs < 0) throw ArgumentError(fmt::format("trainer: epochs is {}, expected >= 0", options_.epochs));
  if (options_.accumulate < 1)
    throw ArgumentError(fmt::format("trainer: accumulate is {}, expected >= 1", options_.accumulate));
  if (options_.steps_per_launch < 1)
    throw ArgumentError(fmt::format("trainer: steps_per_launch is {}, expected >= 1", options_.steps_per_launch));
  if (!(options_.clip_norm >= 0))
    throw ArgumentError(fmt::format("trainer: clip_norm is {}, expected >= 0", options_.clip_norm));
  for (const auto& [name, text] : options_.metadata)
    if (name.starts_with("dnn."))
      throw ArgumentError(fmt::format("trainer: metadata is called '{}', names must not begin with 'dnn.'", name));
  if (!options_.loss)
    options_.loss = [](const Tensor& output, const Tensor& target) { return cross_entropy(output, target); };
  std::set<std::string> names{"loss", "accuracy"};
  for (const auto& metric : options_.metrics) {
    if (!metric) throw ArgumentError("trainer: a metric is null");
    if (!names.insert(metric->name()).second)
      throw ArgumentError(
          fmt::format("trainer: the name '{}' of a metric is taken, expected each once", metric->name()));
  }
  if (options_.lr_schedule) callbacks_.push_back(std::make_shared<LearningRateSchedule>(options_.lr_schedule));
  if (options_.progress != Progress::off)
    callbacks_.push_back(std::make_shared<Progress>(ProgressOptions{.mode = options_.progress}));
  for (const auto& callback : options_.callbacks) {
    if (!callback) throw ArgumentError("trainer: a callback is null");
    callbacks_.push_back(callback);
  }
  check_precision(options_.precision, options_.device.value_or(device_of(net_)));
  if (options_.device) net_.to(*options_.device);
  device_ = device_of(net_);
}

Trainer::~Trainer() = default;

History Trainer::fit(DataLoader& train) { return fit(train, nullptr); }
History Trainer::fit(DataLoader& train, DataLoader& validation) { return fit(train, &validation); }

History Trainer::fit(DataLoader& train, DataLoader* validation) {
  if (!options_.checkpoint.empty()) prepare_to_write(options_.checkpoint);
  if (options_.seed && step_ == 0) manual_seed(*options_.seed);
  last_epoch_ = resumed_ ? std::max(options_.epochs, epoch_) : epoch_ + options_.epochs;
  resumed_ = stopped_ = finished_ = interrupted_ = validating_ = false;
  validates_ = validation != nullptr;
  device_ = device_of(net_);  // it may have been moved since
  check_precision(options_.precision, device_);
  if (options_.handle_signals) interrupt_.emplace();
  try {
    notify([&](Callback& callback) { callback.on_fit_begin(*this); });
    while (!cancelled() && !finished_ && epoch_ < last_epoch_) run_epoch(train, validation);
    notify([&](Callback& callback) { callback.on_fit_end(*this); });
  } catch (...) {
    interrupt_.reset();
    captured_.reset(), resident_.reset(), taken_.clear();
    notify([&](Callback& callback) { callback.on_fit_failed(*this); });
    validating_ = false;
    throw;
  }
  interrupt_.reset();
  captured_.reset(), resident_.reset();
  return history_;
}

void Trainer::run_epoch(DataLoader& train, DataLoader* validation) {
  begin_epoch(train);
  notify([&](Callback& callback) { callback.on_epoch_begin(*this); });
  if (resident_) {
    for (int64_t number = batch_; number < batches_; ++number)
      if (!take({.samples = resident_->samples(number), .number = number})) return cut_epoch();
  } else {
    for (const Batch& batch : train)
      if (!take({.samples = batch.input.size(0), .batch = batch})) return cut_epoch();
  }
  EpochStats stats = training_stats();
  if (validation && !validate(*validation, stats)) return cut_epoch();
  end_epoch(stats);
}

// Collects the batches of a step or a launch, and makes these; false when the epoch is to be cut.
bool Trainer::take(StepBatch batch) {
  const int64_t steps = captures() ? options_.steps_per_launch : 1;
  taken_.push_back(std::move(batch));
  const auto count = static_cast<int64_t>(taken_.size());
  if (count < options_.accumulate * steps && batch_ + count < batches_) return true;
  const std::vector<StepBatch> batches = std::exchange(taken_, {});
  train_steps(batches);
  return !cancelled() || batch_ == batches_;
}

void Trainer::begin_epoch(DataLoader& train) {
  batches_ = train.size();
  train.set_epoch(epoch_, batch_);
  const LoaderOptions& how = train.options();
  if (captures() && how.resident && how.device == device_ && how.batch_transforms.empty()) {
    if (!resident_) resident_.emplace(train);
    resident_->begin(epoch_);
    train.set_epoch(epoch_ + 1);  // as if that one had been begun
  }
  epoch_samples_ = samples_of(train);
  samples_ = std::min(batch_ * train.options().batch_size, epoch_samples_);
  if (!gathering_) {  // else it goes on where it was cut short
    elapsed_ = 0;
    loss_.reset();
    accuracy_.reset();
    for (const auto& metric : options_.metrics) metric->reset();
    gathering_ = true;
  }
  net_.train();
  if (captured_) captured_->invalidate();  // numbers of a loss or a net may change from epoch to epoch
  start_ = options_.clock();
}

// False when a signal came; then it is to be done again.
bool Trainer::validate(DataLoader& validation, EpochStats& stats) {
  const StateDict before = gathered().clone();  // the metrics now measure something else
  validating_ = true;
  notify([&](Callback& callback) { callback.on_validation_begin(*this); });
  validation.set_epoch(epoch_);
  try {
    const auto interrupted = [&] { return cancelled() && interrupted_; };
    const Evaluation result = dnn::evaluate(net_, validation,
                                            {.loss = given_loss_,
                                             .metrics = options_.metrics,
                                             .clock = options_.clock,
                                             .cancelled = interrupted,
                                             .precision = options_.precision});
    stats.val_loss = result.loss;
    stats.val_accuracy = result.accuracy;
    stats.val_metrics = result.metrics;
  } catch (...) {
    set_gathered(before);
    throw;
  }
  notify([&](Callback& callback) { callback.on_validation_end(*this); });
  validating_ = false;
  if (interrupted_) set_gathered(before);
  return !interrupted_;
}

void Trainer::end_epoch(const EpochStats& stats) {
  history_.push_back(stats);
  history_.back().seconds = seconds();
  ++epoch_;
  batch_ = 0;
  gathering_ = false;
  const EpochStats& done = history_.back();
  notify([&](Callback& callback) { callback.on_epoch_end(*this, done); });
  notify([&](Callback& callback) { callback.on_checkpoint(*this); });
  save_checkpoint_file();
}

// The next `fit` goes on in it; the time until then does not count.
void Trainer::cut_epoch() {
  save_checkpoint_file();
  elapsed_ = seconds();
  start_ = options_.clock();
}

// Whether to end now, because of `stop` or a signal.
bool Trainer::cancelled() {
  if (interrupt_ && interrupt_->requested()) stopped_ = interrupted_ = true;
  return stopped_;
}

EpochStats Trainer::training_stats() const {
  EpochStats stats{.epoch = epoch_ + 1, .loss = loss(), .accuracy = accuracy(), .lr = lr_};
  stats.samples_per_second = samples_per_second();
  for (const auto& metric : options_.metrics) stats.metrics[metric->name()] = metric->value();
  return stats;
}

Evaluation Trainer::evaluate(DataLoader& loader) {
  const StateDict before = gathering_ ? gathered().clone() : StateDict();
  const Evaluation result = dnn::evaluate(
      net_, loader,
      {.loss = given_loss_, .metrics = options_.metrics, .clock = options_.clock, .precision = options_.precision});
  if (gathering_) set_gathered(before);
  return result;
}

Tensor Trainer::predict(const Tensor& input) {
  const PrecisionScope scope(options_.precision);
  return readable(dnn::predict(net_, input), options_.precision);
}
Tensor Trainer::predict(DataLoader& loader) {
  const PrecisionScope scope(options_.precision);
  return readable(dnn::predict(net_, loader), options_.precision);
}
Tensor Trainer::predict_classes(const Tensor& input) {
  const PrecisionScope scope(options_.precision);
  return dnn::predict_classes(net_, input);
}
Tensor Trainer::predict_classes(DataLoader& loader) {
  const PrecisionScope scope(options_.precision);
  return dnn::predict_classes(net_, loader);
}

void Trainer::scale_lr(double factor) {
  if (!(std::isfinite(factor) && factor >= 0))
    throw ArgumentError(fmt::format("trainer: the factor of the learning rate is {}, expected >= 0", factor));
  lr_factor_ *= factor;
}

RunPosition Trainer::position() const {
  const double epochs = static_cast<double>(epoch_) + static_cast<double>(batch_) / static_cast<double>(batches_);
  return {.progress = epochs / static_cast<double>(last_epoch_), .step = step_, .epoch = epoch_};
}

std::vector<std::string> Trainer::monitors() const {
  std::vector<std::string> names{"loss", "accuracy"};
  for (const auto& metric : options_.metrics) names.push_back(metric->name());
  if (validates_)
    for (size_t i = 0, own = names.size(); i < own; ++i) names.push_back("val_" + names[i]);
  return names;
}

bool Trainer::higher_is_better(const std::string& monitor) const {
  for (const auto& metric : options_.metrics)
    if (monitor == metric->name() || monitor == "val_" + metric->name()) return metric->higher_is_better();
  return monitor != "loss" && monitor != "val_loss";
}

double Trainer::samples_per_second() const {
  const double time = seconds();
  return time > 0 ? static_cast<double>(samples_) / time : 0;
}

double Trainer::seconds() const { return elapsed_ + (options_.clock() - start_); }
double Trainer::loss() const { return loss_.value(); }
double Trainer::accuracy() const { return accuracy_.value(); }

}  // namespace dnn
