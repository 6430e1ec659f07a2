// Sums that stay on the device of what is added.
#pragma once

#include "dnn/autograd.h"
#include "dnn/capture.h"
#include "dnn/ops/factory.h"
#include "dnn/tensor.h"

namespace dnn {

// sum += value * weight in float64, of one shape and on one device; the sum is made at the first use.
inline void accumulate(Tensor& sum, const Tensor& value, double weight) {
  const NoGrad no_grad;
  if (!sum.defined() || sum.device() != value.device()) {
    const Tensor before = sum;
    detail::repeat([] {}, [&sum, before] { sum = before; });  // what is recorded in vain has no values
    sum = zeros(value.shape(), {.dtype = DType::float64, .device = value.device()});
    if (before.defined()) sum.copy_(before.to(value.device()));
  }
  sum.add_(value.detach().to(DType::float64), weight);
}

}  // namespace dnn
