// The activations with options.
#include "dnn/layers/activation.h"

#include <fmt/format.h>

#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"

namespace dnn {

std::string LeakyReLU::describe() const { return fmt::format("slope={}", slope_); }

std::string ELU::describe() const { return fmt::format("alpha={}", alpha_); }

std::string Softplus::describe() const {
  return fmt::format("beta={}, threshold={}", options_.beta, options_.threshold);
}

Tensor ScaledTanh::forward(Tensor x) { return tanh(x * options_.input) * options_.output; }

std::string ScaledTanh::describe() const {
  return fmt::format("output={}, input={:.4g}", options_.output, options_.input);
}

PReLU::PReLU(int64_t weights, const PReluOptions& options) {
  if (weights < 1) throw ArgumentError(fmt::format("PReLU: {} weights, expected at least 1", weights));
  weight = Parameter(full({weights}, options.init));
}

std::string PReLU::describe() const { return fmt::format("{}", weight.numel()); }

}  // namespace dnn
