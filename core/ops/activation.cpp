// The activations: a line each over the shared body of unary operations.
#include "dnn/ops/activation.h"

#include "core/autocast.h"
#include "core/ops/elementwise.h"

namespace dnn {

using detail::binary;
using detail::unary;

Tensor relu(const Tensor& x) { return unary(functor::Relu{}, x); }
Tensor relu6(const Tensor& x) { return unary(functor::Relu6{}, x); }
Tensor leaky_relu(const Tensor& x, double slope) { return unary(functor::LeakyRelu{.slope = slope}, x); }
Tensor elu(const Tensor& x, double alpha) { return unary(functor::Elu{.alpha = alpha}, x); }
Tensor selu(const Tensor& x) {
  return unary(functor::Elu{.alpha = 1.6732632423543772848, .scale = 1.0507009873554804934}, x, "selu");
}
Tensor sigmoid(const Tensor& x) { return unary(functor::Sigmoid{}, x); }
Tensor logsigmoid(const Tensor& x) { return unary(functor::LogSigmoid{}, x); }
Tensor hardsigmoid(const Tensor& x) { return unary(functor::Hardsigmoid{}, x); }
Tensor silu(const Tensor& x) { return unary(functor::Silu{}, x); }
Tensor hardswish(const Tensor& x) { return unary(functor::Hardswish{}, x); }
Tensor mish(const Tensor& x) { return unary(functor::Mish{}, x); }
Tensor gelu(const Tensor& x, GeluForm form) {
  return form == GeluForm::exact ? unary(functor::Gelu{}, x) : unary(functor::GeluTanh{}, x);
}

Tensor softplus(const Tensor& x, const SoftplusOptions& options) {
  if (!(options.beta > 0))
    throw ArgumentError(fmt::format("softplus: beta is {}, expected a positive number", options.beta));
  return unary(functor::Softplus{.beta = options.beta, .threshold = options.threshold}, detail::widened(x));
}

Tensor prelu(const Tensor& x, const Tensor& weight) {
  detail::check_defined("prelu", {{"x", &x}, {"weight", &weight}});
  if (detail::autocasts()) {
    const detail::CastScope cast("prelu", x);
    return prelu(cast(x), cast.weight(weight));
  }
  detail::check_floating("prelu", "x", x);
  detail::check_same_dtype("prelu", {{"x", &x}, {"weight", &weight}});
  const int64_t channels = x.rank() > 1 ? x.size(1) : 1;
  if (weight.rank() > 1 || (weight.numel() != 1 && weight.numel() != channels))
    throw ShapeError(fmt::format("prelu: weight {} does not fit x {}, expected [1] or [{}], a number per channel",
                                 weight.shape(), x.shape(), channels));
  if (weight.numel() == 1) return binary(functor::Prelu{}, x, weight.reshape({}));
  Shape shape{channels};
  for (int d = 2; d < x.rank(); ++d) shape.push_back(1);
  return binary(functor::Prelu{}, x, weight.reshape(shape));
}

}  // namespace dnn
