// Schedules of the learning rate: small values that give, for a step of training, the factor of the optimizer's rate.
//
//   LrScheduler scheduler(sgd, OneCycle{.steps = epochs * loader.size()});
//   for (...) { ...; sgd.step(); scheduler.step(); }
//
// A step is whatever the caller counts, batches or epochs. Every schedule is a closed form of the step, so a training
// that goes on somewhere in the middle gets the same rates; PyTorch's schedulers give the same numbers. Any function of
// the step will do as well.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "dnn/optim/optimizer.h"
#include "dnn/state_dict.h"

namespace dnn {

/// The factor of the learning rate at a step, counted from 0.
using Schedule = std::function<double(int64_t step)>;

/// The same rate all the time.
struct ConstantRate {
  double factor = 1;
  double operator()(int64_t step) const;
};

/// Times gamma every `every` steps (PyTorch's StepLR).
struct StepDecay {
  int64_t every = 1;
  double gamma = 0.1;
  /// Throws ArgumentError unless `every` is at least 1.
  double operator()(int64_t step) const;
};

/// Times gamma at each of some steps (MultiStepLR): He et al. divide by ten at 32k and 48k.
struct MultiStepDecay {
  std::vector<int64_t> milestones;
  double gamma = 0.1;
  double operator()(int64_t step) const;
};

/// Times gamma every step (ExponentialLR).
struct ExponentialDecay {
  double gamma = 0.1;
  double operator()(int64_t step) const;
};

/// (1 - step / steps)^power, then 0 (PolynomialLR); power 1 is a straight line to 0.
struct PolynomialDecay {
  int64_t steps = 1;
  double power = 1;
  /// Throws ArgumentError unless `steps` is at least 1.
  double operator()(int64_t step) const;
};

/// Half a cosine from 1 down to `min` over `steps`, then `min` (CosineAnnealingLR; Loshchilov & Hutter, "SGDR", ICLR
/// 2017).
struct CosineDecay {
  int64_t steps = 1;
  double min = 0;
  /// Throws ArgumentError unless `steps` is at least 1.
  double operator()(int64_t step) const;
};

/// Up by half a cosine from 1 / div_factor to 1 over the first `pct_start` of the steps, then down to 1 / (div_factor *
/// final_div_factor): the optimizer's rate is the largest one (OneCycleLR; Smith & Topin, "Super-convergence", 2018).
/// The momentum stays.
struct OneCycle {
  int64_t steps = 1;
  double pct_start = 0.3;
  double div_factor = 25;
  double final_div_factor = 1e4;
  /// Throws ArgumentError unless `steps` is at least 1, 0 <= pct_start <= 1 and the divisors are positive.
  double operator()(int64_t step) const;
};

/// A straight line from `start` to 1 over `steps`, then the schedule `then`, which begins with its own step 0
/// (LinearLR, then SequentialLR; Goyal et al., "Accurate, large minibatch SGD", 2017).
struct LinearWarmup {
  int64_t steps = 1;
  double start = 0;
  Schedule then = ConstantRate{};
  /// Throws ArgumentError unless `steps` is at least 1.
  double operator()(int64_t step) const;
};

/// Applies a schedule to an optimizer, which must outlive it.
class LrScheduler {
 public:
  /// Sets the rate of step 0. Throws ArgumentError for an empty function.
  LrScheduler(Optimizer& optimizer, Schedule schedule);
  /// Goes to the next step and sets its rate.
  void step();
  /// The number of the step whose rate is set.
  int64_t current() const { return step_; }
  /// The number of the step ("step").
  StateDict state_dict() const;
  /// Goes on at the step of another scheduler and sets its rate. Throws ArgumentError; then nothing has changed.
  void load_state_dict(const StateDict& state);

 private:
  Optimizer* optimizer_;
  Schedule schedule_;
  int64_t step_ = 0;
};

/// Options of `ReduceOnPlateau`.
struct PlateauOptions {
  bool maximize = false;    ///< Whether larger measures are better, e.g. an accuracy.
  double factor = 0.1;      ///< What the rate is multiplied by.
  int64_t patience = 10;    ///< Measures without improvement that are put up with.
  double threshold = 1e-4;  ///< Relative change that counts as an improvement.
  int64_t cooldown = 0;     ///< Measures after a reduction that are not counted.
  double min_factor = 0;    ///< The product of the factors does not fall below.
};

/// Lowers the learning rate when a measure stops getting better (PyTorch's ReduceLROnPlateau).
class ReduceOnPlateau {
 public:
  /// Throws ArgumentError unless 0 <= factor < 1 and the counts are not negative.
  explicit ReduceOnPlateau(const PlateauOptions& options = {});
  /// Takes the measure of an epoch, e.g. the validation loss, and gives the factor of the learning rate from now on:
  /// for `Optimizer::scale_lr`. NaN counts as no improvement.
  double step(double measure);
  /// The factor of the learning rate.
  double factor() const { return product_; }
  /// The best measure and the counts.
  StateDict state_dict() const;
  /// Goes on where another one was. Throws ArgumentError; then nothing has changed.
  void load_state_dict(const StateDict& state);

 private:
  PlateauOptions options_;
  double best_;
  double product_ = 1;
  int64_t bad_ = 0;
  int64_t cooling_ = 0;
};

}  // namespace dnn
