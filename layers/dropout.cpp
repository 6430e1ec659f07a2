// The dropout layer.
#include "dnn/layers/dropout.h"

#include <fmt/format.h>

#include "dnn/ops/dropout.h"

namespace dnn {

Dropout::Dropout(double p) : p_(p) {
  if (!(p >= 0 && p <= 1)) throw ArgumentError(fmt::format("Dropout: p is {}, expected a probability in [0, 1]", p));
}

Tensor Dropout::forward(Tensor x) { return dropout(x, {.p = p_, .training = training()}); }

std::string Dropout::describe() const { return fmt::format("p={}", p_); }

}  // namespace dnn
