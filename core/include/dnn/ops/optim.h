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

}  // namespace dnn
