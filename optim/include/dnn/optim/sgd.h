// Stochastic gradient descent.
#pragma once

#include "dnn/optim/optimizer.h"

namespace dnn {

/// Options of `SGD`.
struct SgdOptions {
  double lr = 1e-3;         ///< Learning rate.
  double momentum = 0;      ///< Share of the velocity that stays.
  double dampening = 0;     ///< Share of the gradient that does not enter the velocity.
  double weight_decay = 0;  ///< Multiple of the weight added to the gradient.
  bool nesterov = false;    ///< Look ahead by one step of the velocity.
};

/// Gradient descent with momentum (Sutskever et al., "On the importance of initialization and momentum", ICML 2013).
class SGD : public Optimizer {
 public:
  /// Throws ArgumentError for an option out of range, or for Nesterov without momentum or with dampening.
  SGD(const std::vector<Tensor>& parameters, const SgdOptions& options)
      : SGD(std::vector<ParameterGroup<SgdOptions>>{{parameters, options}}) {}
  /// Groups with options of their own; throws also for an empty group.
  explicit SGD(const std::vector<ParameterGroup<SgdOptions>>& groups);

 protected:
  void update(const UpdateList& list) override;

 private:
  std::vector<SgdOptions> options_;  // of the groups
};

}  // namespace dnn
