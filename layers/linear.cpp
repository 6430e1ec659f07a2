// The fully connected layer.
#include "dnn/layers/linear.h"

#include <fmt/format.h>

#include <cmath>

#include "dnn/init.h"
#include "layers/blank.h"

namespace dnn {

Linear::Linear(int64_t in, int64_t out, const LinearLayerOptions& options) {
  if (in < 1 || out < 1)
    throw ArgumentError(fmt::format("Linear: in is {} and out is {}, expected both at least 1", in, out));
  weight = Parameter(detail::blank({out, in}));
  kaiming_uniform_(weight, {.a = std::sqrt(5.0)});
  if (!options.bias) return;
  bias = Parameter(detail::blank({out}));
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  uniform_(bias, -bound, bound);
}

Tensor Linear::forward_fused(Tensor x, const Epilogue& epilogue) {
  return linear(x, weight, bias, {.activation = epilogue.activation(), .add = epilogue.add});
}

std::string Linear::describe() const {
  return fmt::format("{}, {}{}", weight.size(1), weight.size(0), bias.defined() ? "" : ", bias=false");
}

}  // namespace dnn
