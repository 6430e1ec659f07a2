// Scaling of the loss, without which small gradients of float16 would vanish.
#pragma once

#include <map>

#include "dnn/optim/optimizer.h"
#include "dnn/state_dict.h"
#include "dnn/tensor.h"

namespace dnn {

/// Options of `GradScaler`.
struct GradScalerOptions {
  double initial_scale = 65536;  ///< Factor of the first losses.
  double growth = 2;             ///< By which the factor grows after `interval` steps without infinity.
  double backoff = 0.5;          ///< By which it shrinks after a step that was skipped.
  int64_t interval = 2000;       ///< Steps in a row without infinity before it grows.
  bool enabled = true;           ///< Otherwise every loss stays as it is, and every step is made.
};

/// Options of `GradScaler::step`.
struct ScaledStepOptions {
  double clip_norm = 0;  ///< Largest norm of all gradients together (see `clip_grad_norm_`); 0: any.
};

/// Keeps the gradients of float16 within range (Micikevicius et al., "Mixed precision training", ICLR 2018): the loss
/// is multiplied by a large factor, the gradients are divided by it before they count, and a step whose gradients
/// overflowed is skipped and the factor lowered. Factor and flags live on the device, so that nothing waits.
///
///   GradScaler scaler;
///   for (...) {
///     optimizer.zero_grad();
///     scaler.scale(loss).backward();
///     scaler.step(optimizer);
///     scaler.update();
///   }
class GradScaler {
 public:
  /// Throws ArgumentError for an option out of range.
  explicit GradScaler(const GradScalerOptions& options = {});

  /// The loss times the factor, recorded; any number of losses, on one device.
  Tensor scale(const Tensor& loss);
  /// `scale(loss).backward()` without the multiplication; the loss has one element.
  void backward(const Tensor& loss);
  /// Divides the gradients of all parameters by the factor, in place, so that they can be looked at or clipped before
  /// `step`; gradients of float16 become float32, or the smallest would be lost. Throws ArgumentError when no loss was
  /// scaled, when there are no gradients, and when it or `step` was called since `update`.
  void unscale_(Optimizer& optimizer);
  /// Makes the optimizer's step unless a gradient is infinite or NaN, which takes two launches beside the step's own.
  /// The gradients stay scaled unless `unscale_` was called before. Throws like it, and ArgumentError when clip_norm is
  /// negative, or given after `unscale_`: that is `clip_grad_norm_`'s time.
  void step(Optimizer& optimizer, const ScaledStepOptions& options = {});
  /// Chooses the next factor, once after the steps of all optimizers. Throws ArgumentError when there was no step.
  void update();

  /// The factor; waits for the device.
  double factor() const;
  /// The options.
  const GradScalerOptions& options() const { return options_; }
  /// The factor ("scale", []) and how many steps in a row were without infinity ("streak", []); shares memory with the
  /// scaler.
  StateDict state_dict() const;
  /// Goes on where another scaler was. Throws ArgumentError for a missing name, a wrong shape, or a factor or count out
  /// of range; then nothing has changed.
  void load_state_dict(const StateDict& state);

 private:
  struct Stage {
    Tensor non_finite;  // of the gradients
    bool stepped = false;
  };
  void place(Device device);
  void reached(const Optimizer& optimizer, const Stage& stage);
  std::vector<Tensor> gradients_of(const char* where, const Optimizer& optimizer) const;

  GradScalerOptions options_;
  Tensor scale_, streak_;                     // on the CPU before the first loss
  bool used_ = false;                         // whether a loss was scaled
  std::map<const Optimizer*, Stage> stages_;  // since the last update
};

}  // namespace dnn
