// Adam.
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
  explicit Adam(std::vector<Tensor> parameters, const AdamOptions& options = {});

 protected:
  void update(const UpdateList& list) override;

 private:
  AdamOptions options_;
};

}  // namespace dnn
