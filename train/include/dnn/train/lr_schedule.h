// Learning rates over a training run.
//
//   .lr_schedule = [](double done) { return 1 - done; }         // from the share of the run that is done
//   .lr_schedule = OneCycle{.steps = epochs * loader.size()}    // a schedule of dnn/optim/schedule.h, by step
//   .lr_schedule = per_epoch(StepDecay{.every = 30})            // the same, by epoch
//
// Every one is a function of the place in the run, so there is nothing to save, and a resumed run has the same rates.
// What depends on results is a callback: ReduceLrOnPlateau.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include "dnn/optim/schedule.h"
#include "dnn/train/callback.h"
#include "dnn/train/monitor.h"

namespace dnn {

/// A place in a training run.
struct RunPosition {
  double progress = 0;  ///< Share of the run that is done, in [0, 1).
  int64_t step = 0;     ///< Steps done.
  int64_t epoch = 0;    ///< Epochs done.
};

namespace detail {

// Converts to T and to nothing else: tells functions of a number from those of a count.
template <class T>
struct Only {
  template <std::same_as<T> U>
  operator U() const;
};

template <class F>
concept OfSteps = std::is_invocable_r_v<double, F, Only<int64_t>> && !std::is_invocable_v<F, Only<double>>;
template <class F>
concept OfProgress = std::is_invocable_r_v<double, F, Only<double>>;

}  // namespace detail

/// The factor on the learning rate at a place in the run.
class LrSchedule {
 public:
  /// No schedule: the rate is constant.
  LrSchedule() = default;
  /// A function of the place in the run.
  explicit LrSchedule(std::function<double(const RunPosition&)> factor) : factor_(std::move(factor)) {}
  /// A function of the share of the run that is done (its argument is a double).
  template <detail::OfProgress F>
  LrSchedule(F factor)
      : factor_([factor = std::move(factor)](const RunPosition& at) mutable -> double { return factor(at.progress); }) {
  }
  /// A Schedule, or another function of the step (its argument is an int64_t).
  template <detail::OfSteps F>
  LrSchedule(F factor)
      : factor_([factor = std::move(factor)](const RunPosition& at) mutable -> double { return factor(at.step); }) {}

  /// Whether there is one.
  explicit operator bool() const { return static_cast<bool>(factor_); }
  /// The factor there.
  double operator()(const RunPosition& position) const { return factor_(position); }

 private:
  std::function<double(const RunPosition&)> factor_;
};

/// The schedule as a function of the epoch, counted from 0, instead of the step.
LrSchedule per_epoch(Schedule schedule);

/// Scales the learning rate of every step by a schedule; several of them, and plateaus, multiply. The trainer makes one
/// by itself for `TrainerOptions::lr_schedule`.
class LearningRateSchedule : public Callback {
 public:
  /// Throws ArgumentError for an empty schedule.
  explicit LearningRateSchedule(LrSchedule schedule);
  void on_step_begin(Trainer& trainer) override;

 private:
  LrSchedule schedule_;
};

/// Options of `ReduceLrOnPlateau`.
struct ReduceLrOptions {
  std::string monitor = "val_loss";   ///< The number that is followed (see `Monitor`).
  Better better = Better::automatic;  ///< Which numbers are better ones.
  double factor = 0.1;                ///< What the rate is multiplied by.
  int64_t patience = 10;              ///< Epochs without improvement that are put up with.
  double threshold = 1e-4;            ///< Relative change that counts as an improvement.
  int64_t cooldown = 0;               ///< Epochs after a reduction that are not counted.
  double min_factor = 0;              ///< The product of the factors does not fall below.
};

/// Lowers the learning rate when a number of the history stops getting better (see `ReduceOnPlateau`).
class ReduceLrOnPlateau : public Callback {
 public:
  /// Throws ArgumentError for an option out of range.
  explicit ReduceLrOnPlateau(const ReduceLrOptions& options = {});

  /// Throws ArgumentError when there is no such number.
  void on_fit_begin(Trainer& trainer) override;
  void on_step_begin(Trainer& trainer) override;
  void on_epoch_end(Trainer& trainer, const EpochStats& stats) override;
  std::string name() const override { return "reduce_lr_on_plateau"; }
  StateDict state_dict() const override { return plateau_.state_dict(); }
  void load_state_dict(const StateDict& state) override { plateau_.load_state_dict(state); }

  /// The factor on the learning rate now.
  double factor() const { return plateau_.factor(); }

 private:
  Monitor monitor_;
  ReduceOnPlateau plateau_;  // of the number, negated where larger ones are better
};

}  // namespace dnn
