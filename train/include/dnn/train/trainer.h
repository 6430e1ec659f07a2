// Trainer: the loop that everybody writes, once.
//
//   Trainer trainer(net, Adam(net.parameters(), {.lr = 1e-3}), {.epochs = 5, .device = Device::best()});
//   History history = trainer.fit(train_loader, test_loader);
//   double accuracy = trainer.evaluate(test_loader).accuracy;
//
// It moves net and batches to the device, switches between training and evaluation, prints the progress, writes
// checkpoints and goes on from them: a run that was stopped or killed and resumed gives the numbers of one that was
// not, bit for bit. Everything else hangs on it as a callback.
#pragma once

#include <concepts>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "dnn/capture.h"
#include "dnn/data/loader.h"
#include "dnn/data/resident.h"
#include "dnn/layer.h"
#include "dnn/optim/grad_scaler.h"
#include "dnn/optim/optimizer.h"
#include "dnn/precision.h"
#include "dnn/train/callback.h"
#include "dnn/train/clock.h"
#include "dnn/train/evaluate.h"
#include "dnn/train/history.h"
#include "dnn/train/interrupt.h"
#include "dnn/train/lr_schedule.h"
#include "dnn/train/metric.h"
#include "dnn/train/progress.h"

namespace dnn {

namespace detail {
template <class O>
concept AnOptimizer = std::derived_from<std::remove_reference_t<O>, Optimizer>;
}  // namespace detail

/// Options of `Trainer`.
struct TrainerOptions {
  int64_t epochs = 1;                                 ///< Passes over the training data.
  std::optional<Device> device = std::nullopt;        ///< Where to train; not given: where the net lies.
  LossFunction loss = {};                             ///< Cross-entropy of logits and classes when it is not given.
  std::vector<std::shared_ptr<Metric>> metrics = {};  ///< Besides the accuracy, which comes by itself for classes.
  LrSchedule lr_schedule = {};  ///< Scales the learning rate of each step; not given: it is constant.
  int64_t accumulate = 1;       ///< Batches whose mean gradient makes one step.
  /// Whether a GPU's steps are captured (see `capture`): after two ordinary steps each is a launch of a graph that is
  /// recorded anew in each epoch. What cannot be repeated stays an ordinary step by itself: where a callback overrides
  /// `on_update`, something waits for the GPU, or numbers of one step differ from those of the next. Off for a loss or
  /// a net of your own in which numbers of the host change in the middle of an epoch. Of a resident data set without
  /// transforms of batches a captured step makes the batches itself (see `ResidentBatches`).
  bool capture = true;
  /// Steps that are made by one launch where they are captured, with batches that are brought to the GPU before it; the
  /// results are those of one by one, bit for bit, and the last launch of an epoch makes fewer. Callbacks get
  /// `on_step_begin` of all of these steps before the launch and `on_step_end` of all of them after it, when weights
  /// and `loss` are those after the last; `on_checkpoint` comes once, and `stop` acts after it. `wants_update` is asked
  /// about all of them before any `on_step_begin`. Worth it for small nets.
  int64_t steps_per_launch = 1;
  double clip_norm = 0;  ///< Largest norm of all gradients together (see `clip_grad_norm_`); 0: any.
  /// The arithmetic of forward and backward passes; weights, states and checkpoints are of float32 in all of them. With
  /// 16 bits losses and metrics get the net's output in float32, and float16 has its loss scaled (see `GradScaler`).
  Arithmetic precision = Arithmetic::float32;
  std::optional<uint64_t> seed = std::nullopt;    ///< Restarts the default generator before the first step.
  Progress::Mode progress = Progress::automatic;  ///< What is printed.
  std::string checkpoint = {};                    ///< File that is written after each epoch and by `stop`; empty: none.
  /// Texts that all checkpoints of the run hold (see `TrainingState::metadata`): what net it is, what the classes mean.
  std::map<std::string, std::string> metadata = {};
  /// Whether Ctrl-C (SIGINT) and SIGTERM end `fit` after the running step, with a checkpoint; a second one kills as
  /// usual. Off in the library, which leaves a program's signals alone unless it is told to.
  bool handle_signals = false;
  std::vector<std::shared_ptr<Callback>> callbacks = {};  ///< Called in this order, after the progress.
  Clock clock = monotonic_clock();                        ///< Of times and speeds.
};

/// Trains a net with an optimizer.
class Trainer {
 public:
  /// Keeps a reference to the net, and the optimizer itself when it is given as a temporary (or moved), else a
  /// reference. Moves the net to the device. Throws ArgumentError for an option out of range, a null callback or
  /// metric, or two metrics of one name; DeviceError, also for a precision that the device does not have.
  template <detail::AnOptimizer O>
  Trainer(Layer& net, O&& optimizer, TrainerOptions options = {})
      : Trainer(net, share(std::forward<O>(optimizer)), std::move(options)) {}
  /// The same with an optimizer that others share; throws ArgumentError for a null pointer.
  Trainer(Layer& net, std::shared_ptr<Optimizer> optimizer, TrainerOptions options = {});
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains for `epochs` epochs more, after `resume` until there are `epochs` in all. Returns the history of the whole
  /// run. Throws what the net, the loss, the loader and the callbacks throw, IoError for the checkpoint (also at once,
  /// if it could not be written); weights and optimizer are as the last completed step left them.
  History fit(DataLoader& train);
  /// The same with an evaluation after each epoch.
  History fit(DataLoader& train, DataLoader& validation);

  /// Loss and metrics over one epoch of a loader.
  Evaluation evaluate(DataLoader& loader);
  /// The outputs for one batch of inputs, on the device of `input`.
  Tensor predict(const Tensor& input);
  /// The outputs for all samples of a loader, in its order, on the CPU.
  Tensor predict(DataLoader& loader);
  /// The classes with the largest outputs; see `predict_classes`.
  Tensor predict_classes(const Tensor& input);
  /// The same for all samples of a loader, on the CPU.
  Tensor predict_classes(DataLoader& loader);

  /// Writes a checkpoint (see `save_checkpoint`); may be called at any time, also from a callback. Throws ArgumentError
  /// where weights or metrics may not be those of training: during validation, and in `on_step_end` of a step that a
  /// launch of several made, but for the last. `on_checkpoint` is the place.
  void save(const std::string& path) const;
  /// Puts net, optimizer, position, default generator, callbacks and metrics into the state of a checkpoint; `fit` goes
  /// on from there, also in the middle of an epoch, and gives the very run that was interrupted. A callback that the
  /// checkpoint does not know begins anew. Throws like `load_checkpoint`, or what a callback or metric throws; then
  /// nothing has changed.
  void resume(const std::string& path);

  /// Ends `fit` after the running step; an epoch that is cut short is not in the history, the next `fit` goes on in it.
  void stop() { stopped_ = true; }
  /// Ends `fit` after the running epoch for good, as EarlyStopping does: callbacks find the run complete.
  void finish() { finished_ = true; }
  /// Whether the last epoch is done, because there are no more or because of `finish`: when callbacks give the net the
  /// weights that it is to keep. Not after `stop` or a signal, after which training goes on.
  bool complete() const { return !gathering_ && (finished_ || epoch_ >= last_epoch_); }
  /// Whether a signal ended the last `fit`.
  bool interrupted() const { return interrupted_; }
  /// Scales the learning rate of the step that begins, for `Callback::on_step_begin`; several factors multiply. Throws
  /// ArgumentError unless the factor is finite and not negative.
  void scale_lr(double factor);

  /// What is trained.
  Layer& net() { return net_; }
  /// What trains it.
  Optimizer& optimizer() { return *optimizer_; }
  /// What scales the loss; not enabled but for float16.
  const GradScaler& scaler() const { return scaler_; }
  /// The options, the loss filled in.
  const TrainerOptions& options() const { return options_; }
  /// Where the net lies.
  Device device() const { return device_; }
  /// The completed epochs.
  const History& history() const { return history_; }
  /// Whether the running `fit` has validation data.
  bool validates() const { return validates_; }
  /// The names of the numbers that every epoch of the running `fit` gives, as callbacks monitor them: "loss",
  /// "accuracy", those of the metrics and, with validation data, the same behind "val_".
  std::vector<std::string> monitors() const;
  /// Whether a larger number of that name is a better one: a loss, and a metric that says so, gets better downwards.
  bool higher_is_better(const std::string& monitor) const;
  /// Number of completed epochs; the running one's number, from 0.
  int64_t epoch() const { return epoch_; }
  /// Number of the epoch at which `fit` ends.
  int64_t last_epoch() const { return last_epoch_; }
  /// Number of steps since the start of the run.
  int64_t step() const { return step_; }
  /// Where in the run the next step is.
  RunPosition position() const;
  /// Batches of the running epoch that are done.
  int64_t batch() const { return batch_; }
  /// Batches of the running epoch.
  int64_t batches() const { return batches_; }
  /// Samples of the running epoch that are done.
  int64_t samples() const { return samples_; }
  /// Samples of the running epoch.
  int64_t epoch_samples() const { return epoch_samples_; }
  /// Training samples per second of the running epoch.
  double samples_per_second() const;
  /// Seconds since the running epoch began.
  double seconds() const;
  /// The captured step of the running `fit`, null when there is none so far: how many steps were repeated, and why the
  /// last one was not.
  const detail::CapturedStep* captured_step() const { return captured_ ? &*captured_ : nullptr; }
  /// Mean training loss of the running epoch so far; waits for the device.
  double loss() const;
  /// Training accuracy of the running epoch so far, NaN when the targets are no classes; waits for the device.
  double accuracy() const;

 private:
  template <class O>
  static std::shared_ptr<Optimizer> share(O&& optimizer) {
    if constexpr (std::is_lvalue_reference_v<O>)
      return std::shared_ptr<Optimizer>(std::shared_ptr<Optimizer>(), &optimizer);  // a reference: owns nothing
    else
      return std::make_shared<O>(std::move(optimizer));
  }

  template <class Event>
  void notify(Event event) {
    for (const auto& callback : callbacks_) event(*callback);
  }
  History fit(DataLoader& train, DataLoader* validation);
  void run_epoch(DataLoader& train, DataLoader* validation);
  void begin_epoch(DataLoader& train);
  // A batch of the loader, or the number of one that the step makes itself.
  struct StepBatch {
    int64_t samples = 0;
    Batch batch = {};
    int64_t number = -1;
  };
  using StepBatches = std::span<const StepBatch>;
  bool take(StepBatch batch);
  void train_steps(StepBatches batches);
  void train_step(StepBatches batches);
  void launch_steps(StepBatches batches, std::span<const StepBatches> steps);
  void begin_step();
  void end_step(StepBatches batches, std::span<const Tensor> results);
  std::vector<Batch> made(StepBatches batches) const;
  std::vector<Tensor> launch(StepBatches batches);
  std::vector<Tensor> compute_steps(const std::vector<Tensor>& inputs);
  std::vector<Tensor> compute(const std::vector<Tensor>& inputs, std::span<const Batch> batches);
  bool captures() const { return options_.capture && device_.is_cuda(); }
  bool may_capture(int64_t steps);
  bool validate(DataLoader& validation, EpochStats& stats);
  void end_epoch(const EpochStats& stats);
  void cut_epoch();
  bool cancelled();
  EpochStats training_stats() const;
  void save_checkpoint_file() const;
  StateDict gathered() const;
  void set_gathered(const StateDict& state);
  StateDict training_state() const;
  void set_training_state(const StateDict& state);

  Layer& net_;
  std::shared_ptr<Optimizer> optimizer_;
  TrainerOptions options_;
  LossFunction given_loss_;  // empty when the loss is the usual one
  Device device_;
  std::vector<std::shared_ptr<Callback>> callbacks_;
  GradScaler scaler_;

  History history_;
  int64_t epoch_ = 0, last_epoch_ = 0, step_ = 0, batch_ = 0;
  int64_t completed_ = 0;       // steps of the running launch
  bool within_launch_ = false;  // between two steps of a launch, for callbacks
  bool validating_ = false;
  bool resumed_ = false, stopped_ = false, finished_ = false, interrupted_ = false, validates_ = false;
  std::optional<Interrupt> interrupt_;  // while `fit` runs, if it is asked for

  // Of the running epoch.
  int64_t batches_ = 0, samples_ = 0, epoch_samples_ = 0;
  double start_ = 0, elapsed_ = 0;  // the clock when this part of the epoch began, and the seconds before that
  double lr_factor_ = 1, lr_ = 0;
  std::optional<ResidentBatches> resident_;  // where captured steps make their batches
  std::vector<StepBatch> taken_;             // of one step, or of all steps of a launch
  StepBatches launched_;                     // of the running launch
  std::vector<double> lr_factors_;           // of the captured steps that are made together
  std::optional<Captured<std::vector<Tensor>(const std::vector<Tensor>&)>> captured_;
  bool gathering_ = false;  // whether the sums below are of an epoch that is not complete
  RunningMean loss_;
  Accuracy accuracy_;
};

}  // namespace dnn
