// The activations of fused operations, for references.
#pragma once

#include <cmath>

#include "dnn/ops/linear.h"

namespace dnn::test {

inline double activated(double x, Activation activation) {
  switch (activation) {
    case Activation::none: return x;
    case Activation::relu: return x < 0 ? 0 : x;
    case Activation::gelu_tanh: break;
  }
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

}  // namespace dnn::test
