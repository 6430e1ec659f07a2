// Adam and AdamW.
#pragma once

#include "dnn/optim/optimizer.h"

namespace dnn {

/// Options of `Adam`.
struct AdamOptions {
  double lr = 1e-3;         ///< Learning rate.
  double beta1 = 0.9;       ///< Decay of the mean of the gradient.
  double beta2 = 0.999;     ///< Decay of the mean of its square.
  double eps = 1e-8;        ///< Added to the root of the mean square.
  double weight_decay = 0;  ///< Multiple of the weight added to the gradient.
};

/// Adam (Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015).
class Adam : public Optimizer {
 public:
  /// Throws ArgumentError for an option out of range.
  explicit Adam(const std::vector<Tensor>& parameters, const AdamOptions& options = {})
      : Adam(std::vector<ParameterGroup<AdamOptions>>{{parameters, options}}) {}
  /// Groups with options of their own; throws also for an empty group.
  explicit Adam(const std::vector<ParameterGroup<AdamOptions>>& groups) : Adam("adam", groups, false) {}

 protected:
  /// With `decoupled` the weight decay acts on the weight itself.
  Adam(const char* name, const std::vector<ParameterGroup<AdamOptions>>& groups, bool decoupled);
  void update(const UpdateList& list) override;

 private:
  std::vector<AdamOptions> options_;  // of the groups
  bool decoupled_;
};

/// Options of `AdamW`: those of `Adam` with another weight decay.
struct AdamWOptions {
  double lr = 1e-3;            ///< Learning rate.
  double beta1 = 0.9;          ///< Decay of the mean of the gradient.
  double beta2 = 0.999;        ///< Decay of the mean of its square.
  double eps = 1e-8;           ///< Added to the root of the mean square.
  double weight_decay = 0.01;  ///< Part of the weight, times lr, that is taken away in each step.
};

/// Adam with the weight decay taken from the weight itself, by lr * weight_decay of it (Loshchilov & Hutter, "Decoupled
/// weight decay regularization", ICLR 2019).
class AdamW : public Adam {
 public:
  /// Throws ArgumentError for an option out of range.
  explicit AdamW(const std::vector<Tensor>& parameters, const AdamWOptions& options = {})
      : AdamW(std::vector<ParameterGroup<AdamWOptions>>{{parameters, options}}) {}
  /// Groups with options of their own; throws also for an empty group.
  explicit AdamW(const std::vector<ParameterGroup<AdamWOptions>>& groups);
};

}  // namespace dnn
