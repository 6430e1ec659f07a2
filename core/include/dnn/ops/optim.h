// The update rules of the optimizers, one call over all parameters: on a GPU one launch.
//
// The lists run in parallel: parameter i has gradient i and state i. Everything is updated in place, outside autograd.
// All throw ArgumentError when the lists differ in length, ShapeError, DTypeError or DeviceError when an entry does not
// fit its parameter.
#pragma once

#include <vector>

#include "dnn/tensor.h"

namespace dnn {

/// Options of `sgd_update_`.
struct SgdUpdate {
  double lr = 0.01;           ///< Learning rate.
  double momentum = 0;        ///< Share of the velocity that stays.
  double dampening = 0;       ///< Share of the gradient that does not enter the velocity.
  double weight_decay = 0;    ///< Multiple of the weight added to the gradient.
  bool nesterov = false;      ///< Look ahead by one step of the velocity.
  bool first_step = false;    ///< The velocity is undefined so far and becomes the gradient.
};

/// v = momentum v + (1 - dampening) (g + weight_decay p);  p -= lr v, or lr (g + momentum v) for Nesterov (Sutskever et
/// al., "On the importance of initialization and momentum", ICML 2013). `velocities` may be empty when momentum is 0.
void sgd_update_(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                 const std::vector<Tensor>& velocities, const SgdUpdate& options);

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
                  const std::vector<Tensor>& means, const std::vector<Tensor>& squares, const AdamUpdate& options);

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
                     const std::vector<Tensor>& velocities, const RmspropUpdate& options);

/// Options of `adagrad_update_`.
struct AdagradUpdate {
  double lr = 0.01;         ///< Learning rate.
  double eps = 1e-10;       ///< Added to the root.
  double weight_decay = 0;  ///< Multiple of the weight added to the gradient.
  double initial_sum = 0;   ///< Added to the sums before this update: for the first one.
};

/// s += g^2;  p -= lr g / (sqrt(s) + eps) (Duchi et al., "Adaptive subgradient methods", JMLR 2011).
void adagrad_update_(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                     const std::vector<Tensor>& sums, const AdagradUpdate& options);

}  // namespace dnn
