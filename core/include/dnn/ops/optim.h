// The update rules of the optimizers and what belongs to them, one call over all parameters: on a GPU one launch.
//
// The lists run in parallel: parameter i has gradient i and state i. Everything is updated in place, outside autograd.
// States have their parameter's type, gradients too, or 16 bits beside a parameter of float32. All throw ArgumentError
// when the lists differ in length, ShapeError, DTypeError or DeviceError when an entry does not fit its parameter.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "dnn/tensor.h"

namespace dnn {

/// What an update reads from its device's memory, so that the host need not know it. Each is undefined or one number
/// [], float32 (the factor also float64), on the device of the parameters.
struct UpdateControl {
  Tensor factor = {};   ///< Multiplies every gradient before all else.
  Tensor skip = {};     ///< Other than 0: nothing changes but the count that follows.
  Tensor skipped = {};  ///< Updates that were skipped so far, which do not count as steps; the kernel counts.
  /// Gives the learning rate of the options, now and for each repetition of a captured step (see dnn/capture.h);
  /// without it the number in the options is repeated.
  std::function<double()> lr = {};
  std::function<int64_t()> step = {};  ///< The same for the step of the options.
};

/// Options of `sgd_update_`.
struct SgdUpdate {
  double lr = 0.01;         ///< Learning rate.
  double momentum = 0;      ///< Share of the velocity that stays.
  double dampening = 0;     ///< Share of the gradient that does not enter the velocity.
  double weight_decay = 0;  ///< Multiple of the weight added to the gradient.
  bool nesterov = false;    ///< Look ahead by one step of the velocity.
  int64_t step = 0;         ///< 1 for the first update: the velocity, undefined so far, becomes the gradient.
};

/// v = momentum v + (1 - dampening) (g + weight_decay p);  p -= lr v, or lr (g + momentum v) for Nesterov (Sutskever et
/// al., "On the importance of initialization and momentum", ICML 2013). `velocities` may be empty when momentum is 0.
void sgd_update_(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                 const std::vector<Tensor>& velocities, const SgdUpdate& options, const UpdateControl& control = {});

/// Options of `adam_update_`.
struct AdamUpdate {
  double lr = 1e-3;              ///< Learning rate.
  double beta1 = 0.9;            ///< Decay of the mean.
  double beta2 = 0.999;          ///< Decay of the mean square.
  double eps = 1e-8;             ///< Added to the root.
  double weight_decay = 0;       ///< Multiple of the weight; added to the gradient, or decoupled.
  bool decoupled_decay = false;  ///< AdamW (Loshchilov & Hutter, ICLR 2019): decay the weight itself.
  int64_t step = 1;              ///< 1 for the first update; corrects the bias of the means.
};

/// Adam (Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015).
void adam_update_(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                  const std::vector<Tensor>& means, const std::vector<Tensor>& squares, const AdamUpdate& options,
                  const UpdateControl& control = {});

/// Options of `rmsprop_update_`.
struct RmspropUpdate {
  double lr = 0.01;         ///< Learning rate.
  double alpha = 0.99;      ///< Decay of the mean square.
  double eps = 1e-8;        ///< Added to the root.
  double weight_decay = 0;  ///< Multiple of the weight added to the gradient.
  double momentum = 0;      ///< Share of the velocity that stays.
  bool centered = false;    ///< Take the square of the mean from the mean square.
};

/// s = alpha s + (1 - alpha) g^2;  v = momentum v + g / (sqrt(s) + eps);  p -= lr v (Tieleman & Hinton, "Lecture 6.5",
/// 2012). `means` count when centered, `velocities` with momentum.
void rmsprop_update_(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                     const std::vector<Tensor>& squares, const std::vector<Tensor>& means,
                     const std::vector<Tensor>& velocities, const RmspropUpdate& options,
                     const UpdateControl& control = {});

/// Options of `adagrad_update_`.
struct AdagradUpdate {
  double lr = 0.01;         ///< Learning rate of the first update.
  double eps = 1e-10;       ///< Added to the root.
  double weight_decay = 0;  ///< Multiple of the weight added to the gradient.
  double initial_sum = 0;   ///< What the sums begin with: added to them in the first update.
  double lr_decay = 0;      ///< Update t learns at lr / (1 + (t - 1) lr_decay).
  int64_t step = 1;         ///< 1 for the first update.
};

/// s += g^2;  p -= lr g / (sqrt(s) + eps) (Duchi et al., "Adaptive subgradient methods", JMLR 2011).
void adagrad_update_(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                     const std::vector<Tensor>& sums, const AdagradUpdate& options, const UpdateControl& control = {});

/// Options of `measure_gradients`.
struct MeasureOptions {
  bool infinity_norm = false;  ///< The largest element counts, not the root of the sum of squares.
  double max_norm = 0;         ///< The norm that `GradientMeasures::factor` leaves at most; 0: any.
  Tensor scale = {};  ///< How many times too large the gradients are, float32 [] on their device; undefined: 1.
};

/// What `measure_gradients` finds, each one number [] on the device of the gradients.
struct GradientMeasures {
  Tensor norm;        ///< Over all elements together, the scale taken off; float32, float64 when a gradient is.
  Tensor factor;      ///< What clips the gradients and takes off the scale when it multiplies them, of the norm's type.
  Tensor non_finite;  ///< 1 when an element is infinite or NaN, else 0; float32.
};

/// The norm of all gradients together and what follows from it, without a wait and, on a GPU, in two launches. The
/// gradients are floating of any types, contiguous, on one device; there must be at least one.
GradientMeasures measure_gradients(const std::vector<Tensor>& gradients, const MeasureOptions& options = {});

/// Multiplies all gradients by one number [], float32 or float64, on their device: on a GPU one launch. Infinity
/// times 0 is NaN.
void scale_gradients_(const std::vector<Tensor>& gradients, const Tensor& factor);

/// Options of `update_loss_scale_`.
struct LossScaleUpdate {
  double growth = 2;        ///< Factor after `interval` steps in a row without infinity.
  double backoff = 0.5;     ///< Factor after a step with one.
  int64_t interval = 2000;  ///< Steps until the scale grows.
};

/// The next scale of the loss after a step: smaller if `non_finite` is not 0, and larger when it was 0 for `interval`
/// steps in a row, which `streak` counts, unless that would overflow. All are one number [] on one device: scale and
/// non_finite float32, streak int32.
void update_loss_scale_(const Tensor& scale, const Tensor& streak, const Tensor& non_finite,
                        const LossScaleUpdate& options = {});

}  // namespace dnn
