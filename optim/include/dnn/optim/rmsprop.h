// RMSprop.
#pragma once

#include "dnn/optim/optimizer.h"

namespace dnn {

/// Options of `RMSprop`.
struct RmspropOptions {
  double lr = 0.01;         ///< Learning rate.
  double alpha = 0.99;      ///< Decay of the mean square of the gradient.
  double eps = 1e-8;        ///< Added to the root of the mean square.
  double weight_decay = 0;  ///< Multiple of the weight added to the gradient.
  double momentum = 0;      ///< Share of the velocity that stays.
  bool centered = false;    ///< Divide by the deviation of the gradient instead.
};

/// RMSprop: the gradient over the root of its mean square (Tieleman & Hinton, "Lecture 6.5", 2012); centered: Graves,
/// "Generating sequences with recurrent neural networks", 2013.
class RMSprop : public Optimizer {
 public:
  /// Throws ArgumentError for an option out of range.
  explicit RMSprop(const std::vector<Tensor>& parameters, const RmspropOptions& options = {})
      : RMSprop(std::vector<ParameterGroup<RmspropOptions>>{{parameters, options}}) {}
  /// Groups with options of their own; throws also for an empty group.
  explicit RMSprop(const std::vector<ParameterGroup<RmspropOptions>>& groups);

 protected:
  void update(const UpdateList& list) override;

 private:
  std::vector<RmspropOptions> options_;  // of the groups
};

}  // namespace dnn
