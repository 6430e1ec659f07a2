// The steps of a training run: ordinary ones, captured ones, and several that one launch makes.
//
// What a graph repeats is `compute`: forward, loss, backward, update, and the sums of losses and hits. Around it the
// host brings batches, tells callbacks and counts. A launch of several steps gets their learning rates beforehand:
// between two updates it is the recorded steps' effect to choose the next one.
#include <algorithm>
#include <initializer_list>
#include <utility>

#include "dnn/capture.h"
#include "dnn/ops/binary.h"
#include "dnn/train/trainer.h"
#include "train/batch_loss.h"
#include "train/precision_scope.h"

namespace dnn {
namespace {

// While it lives, the learning rate is scaled. Everybody else, checkpoints too, sees the rate that was asked for.
class ScaledLearningRate {
 public:
  ScaledLearningRate(Optimizer& optimizer, double factor) : optimizer_(optimizer) { optimizer_.scale_step(factor); }
  ~ScaledLearningRate() { optimizer_.scale_step(1); }
  ScaledLearningRate(const ScaledLearningRate&) = delete;
  ScaledLearningRate& operator=(const ScaledLearningRate&) = delete;

 private:
  Optimizer& optimizer_;
};

// Puts numbers back to what they were when it was made.
class Restored {
 public:
  explicit Restored(std::initializer_list<int64_t*> numbers) {
    for (int64_t* number : numbers) before_.emplace_back(number, *number);
  }
  ~Restored() {
    for (const auto& [number, value] : before_) *number = value;
  }
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;

 private:
  std::vector<std::pair<int64_t*, int64_t>> before_;
};

// Makes a flag false when it goes.
class Cleared {
 public:
  explicit Cleared(bool& flag) : flag_(flag) {}
  ~Cleared() { flag_ = false; }
  Cleared(const Cleared&) = delete;
  Cleared& operator=(const Cleared&) = delete;

 private:
  bool& flag_;
};

// Of each batch input and target.
std::vector<Tensor> tensors_of(std::span<const Batch> batches) {
  std::vector<Tensor> tensors;
  for (const Batch& batch : batches) tensors.insert(tensors.end(), {batch.input, batch.target});
  return tensors;
}

template <class Batches>
int64_t samples_of(const Batches& batches) {
  int64_t count = 0;
  for (const auto& batch : batches) count += batch.samples;
  return count;
}

}  // namespace

// The steps of these batches: in one launch if nobody looks into any of them, else one after the other.
void Trainer::train_steps(StepBatches batches) {
  std::vector<StepBatches> steps;
  for (auto left = batches; !left.empty(); left = left.subspan(steps.back().size()))
    steps.push_back(left.first(std::min(left.size(), static_cast<size_t>(options_.accumulate))));
  const auto count = static_cast<int64_t>(steps.size());
  if (count > 1 && optimizer_->follows_rate() && may_capture(count)) return launch_steps(batches, steps);
  for (const auto& step : steps) {
    train_step(step);
    if (cancelled()) return;
  }
}

void Trainer::train_step(StepBatches batches) {
  begin_step();
  std::vector<Tensor> results;
  if (may_capture(1)) {
    lr_factors_ = {lr_factor_};
    results = launch(batches);
  } else {
    const std::vector<Batch> all = made(batches);
    std::vector<Tensor> inputs = tensors_of(all);
    for (Tensor& input : inputs) input = input.to(device_);
    results = compute(inputs, all);
  }
  end_step(batches, results);
  notify([&](Callback& callback) { callback.on_checkpoint(*this); });
}

void Trainer::launch_steps(StepBatches batches, std::span<const StepBatches> steps) {
  lr_factors_.clear();
  {
    const Restored position({&step_, &batch_});
    for (const auto& step : steps) {
      begin_step();
      lr_factors_.push_back(lr_factor_);
      ++step_, batch_ += static_cast<int64_t>(step.size());
    }
  }
  const int64_t before[] = {step_, batch_, samples_};
  std::vector<Tensor> results;
  try {
    results = launch(batches);
  } catch (...) {  // behind the steps that were made
    for (const auto& step : steps.first(std::min(steps.size(), static_cast<size_t>(completed_))))
      ++step_, batch_ += static_cast<int64_t>(step.size()), samples_ += samples_of(step);
    throw;
  }
  step_ += static_cast<int64_t>(steps.size()), batch_ += static_cast<int64_t>(batches.size());
  samples_ += samples_of(batches);
  {
    const Restored end({&step_, &batch_, &samples_});  // whatever a callback throws
    const Cleared after(within_launch_);
    step_ = before[0], batch_ = before[1], samples_ = before[2];
    size_t first = 0;
    for (const auto& step : steps) {
      within_launch_ = first + 2 * step.size() < results.size();
      end_step(step, std::span(results).subspan(first, 2 * step.size()));
      first += 2 * step.size();
    }
  }
  notify([&](Callback& callback) { callback.on_checkpoint(*this); });
}

void Trainer::begin_step() {
  lr_factor_ = 1;
  notify([&](Callback& callback) { callback.on_step_begin(*this); });
}

// Takes output and target of each batch.
void Trainer::end_step(StepBatches batches, std::span<const Tensor> results) {
  for (size_t i = 0; i < results.size(); i += 2)
    for (const auto& metric : options_.metrics) metric->update(results[i], results[i + 1]);
  samples_ += samples_of(batches);
  batch_ += static_cast<int64_t>(batches.size());
  ++step_;
  notify([&](Callback& callback) { callback.on_step_end(*this); });
}

std::vector<Batch> Trainer::made(StepBatches batches) const {
  std::vector<Batch> all;
  for (const StepBatch& batch : batches) all.push_back(resident_ ? resident_->make(batch.number) : batch.batch);
  return all;
}

// The captured step or steps of these batches, at the rates that `lr_factors_` say.
std::vector<Tensor> Trainer::launch(StepBatches batches) {
  {
    const ScaledLearningRate last(*optimizer_, lr_factors_.back());
    lr_ = optimizer_->lr();
  }
  lr_factor_ = lr_factors_.front();
  const ScaledLearningRate scaled(*optimizer_, lr_factor_);  // also where nothing but a graph is launched
  completed_ = 0;
  launched_ = batches;
  if (!captured_)
    captured_.emplace([this](const std::vector<Tensor>& all) { return compute_steps(all); },
                      CaptureOptions{.device = device_,
                                     .mode = [this] { return samples_of(launched_); },  // for steps without inputs
                                     .eager_calls = 1,
                                     .required = false});
  return (*captured_)(resident_ ? std::vector<Tensor>() : tensors_of(made(batches)));
}

// What is captured: the steps of `launched_`, the first one at the rate that the optimizer has. Without inputs it makes
// their batches. Where one fails while they are recorded, the device has made none of those before it.
std::vector<Tensor> Trainer::compute_steps(const std::vector<Tensor>& given) {
  const size_t most = static_cast<size_t>(options_.accumulate);
  std::vector<Tensor> results;
  int64_t steps = 0;
  try {
    for (size_t begin = 0; begin < launched_.size(); begin += most, ++steps) {
      if (begin > 0)
        detail::repeat(
            [this, steps] {
              lr_factor_ = lr_factors_[static_cast<size_t>(steps)];
              optimizer_->scale_step(lr_factor_);
            },
            [] {});  // the first step chooses anew
      std::vector<Tensor> inputs;
      for (size_t i = begin; i < std::min(begin + most, launched_.size()); ++i) {
        const Batch batch = resident_ ? resident_->make([this, i] { return launched_[i].number; })
                                      : Batch{given[2 * i], given[2 * i + 1]};
        inputs.insert(inputs.end(), {batch.input, batch.target});
      }
      const std::vector<Tensor> part = compute(inputs, {});
      results.insert(results.end(), part.begin(), part.end());
    }
  } catch (...) {
    completed_ = detail::is_recording() ? 0 : steps;
    throw;
  }
  return results;
}

// Forward, loss and backward for each batch, and one update for all of them. The loss of a step is the mean over its
// samples, as if they had been one batch. Takes input and target of each batch on the device, and returns output and
// target. Callbacks see the update of `batches` if there are any: in a captured step nobody wants to.
std::vector<Tensor> Trainer::compute(const std::vector<Tensor>& inputs, std::span<const Batch> batches) {
  int64_t count = 0;
  for (size_t i = 0; i < inputs.size(); i += 2) count += inputs[i].size(0);
  std::vector<BatchLoss> losses;
  std::vector<Tensor> results;
  Tensor step_loss;
  optimizer_->zero_grad();
  for (size_t i = 0; i < inputs.size(); i += 2) {
    const PrecisionScope scope(options_.precision);
    const Tensor& target = inputs[i + 1];
    const Tensor output = readable(net_(inputs[i]), options_.precision);
    BatchLoss loss = loss_of(given_loss_, output, target);
    const double share = static_cast<double>(inputs[i].size(0)) / static_cast<double>(count);
    const Tensor part = inputs.size() == 2 ? loss.loss : loss.loss * share;
    scaler_.backward(part);
    if (!batches.empty()) step_loss = step_loss.defined() ? step_loss + part.detach() : part.detach();
    loss.loss = loss.loss.detach();
    losses.push_back(std::move(loss));
    results.push_back(output.detach());
    results.push_back(target);
  }
  if (!batches.empty()) notify([&](Callback& callback) { callback.on_update(*this, batches, step_loss); });
  {
    const ScaledLearningRate scaled(*optimizer_, lr_factor_);
    if (!batches.empty()) lr_ = optimizer_->lr();
    scaler_.step(*optimizer_, {.clip_norm = options_.clip_norm});
    scaler_.update();
  }
  for (size_t i = 0; i < losses.size(); ++i) {
    const Tensor &output = results[2 * i], &target = results[2 * i + 1];
    gather(loss_, accuracy_, losses[i], target.size(0), output, target);
  }
  return results;
}

// Whether nobody looks into the next steps. That a callback does not is known after the first one.
bool Trainer::may_capture(int64_t steps) {
  if (!captures()) return false;
  const Restored position({&step_, &batch_});
  const auto ignores = [this](const auto& c) { return c->ignores_updates_ || !c->wants_update(*this); };
  for (int64_t i = 0; i < steps; ++i, ++step_, batch_ += options_.accumulate)
    if (!std::all_of(callbacks_.begin(), callbacks_.end(), ignores)) return false;
  return true;
}

}  // namespace dnn
