// Adagrad.
#pragma once

#include "dnn/optim/optimizer.h"

namespace dnn {

/// Options of `Adagrad`.
struct AdagradOptions {
  double lr = 0.01;         ///< Learning rate.
  double lr_decay = 0;      ///< The rate of step t is lr / (1 + (t - 1) lr_decay).
  double weight_decay = 0;  ///< Multiple of the weight added to the gradient.
  double initial_sum = 0;   ///< What the sum of squares begins with (PyTorch's initial_accumulator_value).
  double eps = 1e-10;       ///< Added to the root of the sum.
};

/// Adagrad (Duchi et al., "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 2011).
class Adagrad : public Optimizer {
 public:
  /// Throws ArgumentError for an option out of range.
  explicit Adagrad(const std::vector<Tensor>& parameters, const AdagradOptions& options = {})
      : Adagrad(std::vector<ParameterGroup<AdagradOptions>>{{parameters, options}}) {}
  /// Groups with options of their own; throws also for an empty group.
  explicit Adagrad(const std::vector<ParameterGroup<AdagradOptions>>& groups);

 protected:
  void update(const UpdateList& list) override;

 private:
  std::vector<AdagradOptions> options_;  // of the groups
};

}  // namespace dnn
