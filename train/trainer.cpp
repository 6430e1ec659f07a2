// The training loop. Everything that is not forward, loss, backward and step is a callback or another file.
#include "dnn/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dnn/error.h"
#include "dnn/io.h"
#include "dnn/ops/loss.h"
#include "dnn/random.h"
#include "dnn/train/checkpoint.h"

namespace dnn {
namespace {

// While it lives, the learning rate is scaled. Everybody else, checkpoints too, sees the rate that was asked for.
class ScaledLearningRate {
 public:
  ScaledLearningRate(Optimizer& optimizer, double factor) : optimizer_(optimizer) {
    optimizer_.scale_lr(factor);
  }
  ~ScaledLearningRate() { optimizer_.scale_lr(1); }
  ScaledLearningRate(const ScaledLearningRate&) = delete;
  ScaledLearningRate& operator=(const ScaledLearningRate&) = delete;

 private:
  Optimizer& optimizer_;
};

// The samples of an epoch.
int64_t samples_of(const DataLoader& loader) {
  const int64_t batches = loader.size() * loader.options().batch_size;
  return std::min(batches, loader.dataset().size());
}

}  // namespace

Trainer::Trainer(Layer& net, std::shared_ptr<Optimizer> optimizer, TrainerOptions options)
    : net_(net), optimizer_(std::move(optimizer)), options_(std::move(options)) {
  if (!optimizer_) throw ArgumentError("trainer: optimizer is null");
  if (options_.epochs < 0) throw ArgumentError(fmt::format("trainer: epochs is {}, expected >= 0", options_.epochs));
  if (!options_.loss)
    options_.loss = [](const Tensor& output, const Tensor& target) { return cross_entropy(output, target); };
  for (const auto& metric : options_.metrics)
    if (!metric) throw ArgumentError("trainer: a metric is null");
  if (options_.progress != Progress::off)
    callbacks_.push_back(std::make_shared<Progress>(ProgressOptions{.mode = options_.progress}));
  for (const auto& callback : options_.callbacks) {
    if (!callback) throw ArgumentError("trainer: a callback is null");
    callbacks_.push_back(callback);
  }
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
  resumed_ = stopped_ = false;
  device_ = device_of(net_);  // it may have been moved since
  try {
    notify([&](Callback& callback) { callback.on_fit_begin(*this); });
    while (epoch_ < last_epoch_ && !stopped_) run_epoch(train, validation);
    notify([&](Callback& callback) { callback.on_fit_end(*this); });
  } catch (...) {
    notify([&](Callback& callback) { callback.on_fit_failed(*this); });
    throw;
  }
  return history_;
}

void Trainer::run_epoch(DataLoader& train, DataLoader* validation) {
  begin_epoch(train);
  notify([&](Callback& callback) { callback.on_epoch_begin(*this); });
  for (const Batch& batch : train) {
    notify([&](Callback& callback) { callback.on_step_begin(*this); });
    train_step(batch);
    notify([&](Callback& callback) { callback.on_step_end(*this); });
    if (stopped_ && batch_ < batches_) return save_checkpoint_file();
  }
  EpochStats stats = training_stats();
  if (validation) validate(*validation, stats);
  stats.seconds = seconds();
  history_.push_back(stats);
  ++epoch_;
  batch_ = 0;
  notify([&](Callback& callback) { callback.on_epoch_end(*this, stats); });
  save_checkpoint_file();
}

void Trainer::begin_epoch(DataLoader& train) {
  batches_ = train.size();
  train.set_epoch(epoch_, batch_);
  epoch_samples_ = samples_of(train);
  first_sample_ = samples_ = batch_ * train.options().batch_size;
  loss_.reset();
  accuracy_.reset();
  for (const auto& metric : options_.metrics) metric->reset();
  net_.train();
  start_ = options_.clock();
}

void Trainer::train_step(const Batch& batch) {
  const Tensor target = batch.target.to(device_);
  optimizer_->zero_grad();
  const Tensor output = net_(batch.input.to(device_));
  const Tensor loss = options_.loss(output, target);
  loss.backward();
  {
    const double done = static_cast<double>(epoch_) + static_cast<double>(batch_) / static_cast<double>(batches_);
    const double factor = options_.lr_schedule ? options_.lr_schedule(done / static_cast<double>(last_epoch_)) : 1;
    const ScaledLearningRate scaled(*optimizer_, factor);
    lr_ = optimizer_->lr();
    optimizer_->step();
  }
  const int64_t count = batch.input.size(0);
  loss_.add(loss, static_cast<double>(count));
  if (Accuracy::applies(output, target)) accuracy_.update(output, target);
  for (const auto& metric : options_.metrics) metric->update(output.detach(), target);
  samples_ += count;
  ++batch_;
  ++step_;
}

EpochStats Trainer::training_stats() const {
  EpochStats stats{.epoch = epoch_ + 1, .loss = loss(), .accuracy = accuracy(), .lr = lr_};
  stats.samples_per_second = samples_per_second();
  for (const auto& metric : options_.metrics) stats.metrics[metric->name()] = metric->value();
  return stats;
}

void Trainer::validate(DataLoader& validation, EpochStats& stats) {
  notify([&](Callback& callback) { callback.on_validation_begin(*this); });
  validation.set_epoch(epoch_);
  const Evaluation result = evaluate(validation);
  stats.val_loss = result.loss;
  stats.val_accuracy = result.accuracy;
  stats.val_metrics = result.metrics;
}

Evaluation Trainer::evaluate(DataLoader& loader) {
  return dnn::evaluate(net_, loader, {.loss = options_.loss, .metrics = options_.metrics, .clock = options_.clock});
}

Tensor Trainer::predict(const Tensor& input) { return dnn::predict(net_, input); }
Tensor Trainer::predict(DataLoader& loader) { return dnn::predict(net_, loader); }

void Trainer::save(const std::string& path) const {
  save_checkpoint(path, net_, *optimizer_, {.epoch = epoch_, .batch = batch_, .step = step_, .history = history_});
}

void Trainer::save_checkpoint_file() const {
  if (!options_.checkpoint.empty()) save(options_.checkpoint);
}

void Trainer::resume(const std::string& path) {
  TrainingState state = load_checkpoint(path, net_, *optimizer_);
  epoch_ = state.epoch;
  batch_ = state.batch;
  step_ = state.step;
  history_ = std::move(state.history);
  default_generator() = state.generator;
  resumed_ = true;
}

double Trainer::samples_per_second() const {
  const double time = seconds();
  return time > 0 ? static_cast<double>(samples_ - first_sample_) / time : 0;
}

double Trainer::seconds() const { return options_.clock() - start_; }
double Trainer::loss() const { return loss_.value(); }
double Trainer::accuracy() const { return accuracy_.value(); }

template <class Event>
void Trainer::notify(Event event) {
  for (const auto& callback : callbacks_) event(*callback);
}

}  // namespace dnn
