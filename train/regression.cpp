// Means of the losses of the same names.
#include "dnn/train/regression.h"

#include "dnn/autograd.h"
#include "dnn/ops/loss.h"

namespace dnn {

void MeanAbsoluteError::update(const Tensor& output, const Tensor& target) {
  const NoGrad no_grad;
  mean_.add(l1_loss(output.detach(), target), static_cast<double>(target.numel()));
}

void MeanSquaredError::update(const Tensor& output, const Tensor& target) {
  const NoGrad no_grad;
  mean_.add(mse_loss(output.detach(), target), static_cast<double>(target.numel()));
}

}  // namespace dnn
