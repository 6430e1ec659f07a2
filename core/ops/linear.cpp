// The affine map of a linear layer.
#include "dnn/ops/linear.h"

#include "core/check.h"
#include "core/kernels/linear.h"
#include "core/kernels/reduce.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "core/ops/gemm.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/unary.h"

namespace dnn {

using detail::Backward;
using detail::gemm;
using detail::Saved;

Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias, const LinearOptions& options) {
  const Tensor& add = options.add;
  detail::check_defined("linear", {{"input", &input}, {"weight", &weight}});
  detail::check_same_device("linear", {{"input", &input}, {"weight", &weight}, {"bias", &bias}, {"add", &add}});
  const DType type =
      detail::check_same_dtype("linear", {{"input", &input}, {"weight", &weight}, {"bias", &bias}, {"add", &add}});
  detail::check_floating("linear", "input", input);
  detail::check_rank("linear", "weight", weight, 2);
  const int64_t features = weight.size(0);
  if (input.rank() == 0 || input.size(-1) != weight.size(1))
    throw ShapeError(fmt::format("linear: input has {} features, weight expects {} (input {}, weight {})",
                                 input.rank() == 0 ? 0 : input.size(-1), weight.size(1), input.shape(),
                                 weight.shape()));
  if (bias.defined() && bias.shape() != Shape{features})
    throw ShapeError(fmt::format("linear: bias has shape {}, expected [{}] (input {}, weight {})", bias.shape(),
                                 features, input.shape(), weight.shape()));
  Shape result = input.shape();
  result[result.rank() - 1] = features;
  if (add.defined() && add.shape() != result)
    throw ShapeError(fmt::format("linear: add has shape {}, expected the result's {} (input {}, weight {})",
                                 add.shape(), result, input.shape(), weight.shape()));
  if (input.rank() != 2) {
    const Shape rows{-1, input.size(-1)};
    LinearOptions flat = options;
    if (input.numel() == 0 && input.size(-1) == 0)
      throw ShapeError(fmt::format("linear: input {} has no features, expected at least one", input.shape()));
    if (add.defined()) flat.add = add.reshape({-1, features});
    return linear(input.reshape(rows), weight, bias, flat).reshape(result);
  }

  if (!kernel::linear_fused.filled(input.device())) {
    Tensor y = matmul(input, weight.t());
    if (bias.defined()) y = dnn::add(y, bias);
    return detail::compose(y, add, options.activation);
  }

  Tensor out = detail::allocate(result, type, input.device());
  Tensor saved;  // for the way back through the activation
  if (options.activation == Activation::relu) saved = out;
  if (options.activation == Activation::gelu_tanh &&
      detail::needs_grad(std::initializer_list<Tensor>{input, weight, bias, add}))
    saved = detail::allocate(result, type, input.device());
  {
    NoGrad no_grad;
    const Tensor x_plain = detail::plain(input), w_plain = detail::plain(weight);
    kernel::linear_fused[input.device()](x_plain, w_plain, bias.defined() ? detail::plain(bias) : bias,
                                         add.defined() ? detail::plain(add) : add, options.activation, out,
                                         options.activation == Activation::gelu_tanh ? saved : Tensor());
  }
  detail::record(
      "linear", out, {input, weight, bias, add},
      [x = Saved(input), w = Saved(weight), saved = saved.defined() ? Saved(saved) : Saved(),
       activation = options.activation](Backward& b) {
        const Tensor grad = detail::before_activation(b.grad(), b.get(saved), activation);
        if (b.wants(0)) gemm(grad, false, b.get(w), false, b.into(0));
        if (b.wants(1) && b.wants(2) && kernel::linear_backward_weight.filled(grad.device())) {
          const auto [out, accumulate] = b.into(1);
          const auto [bias, accumulate_bias] = b.into(2);
          kernel::linear_backward_weight[out.device()](detail::plain(grad), detail::plain(b.get(x)), out, accumulate,
                                                       bias, accumulate_bias);
          if (b.wants(3)) b.set(3, grad);
          return;
        }
        if (b.wants(1)) gemm(grad, true, b.get(x), false, b.into(1));
        if (b.wants(2)) {
          const auto [out, accumulate] = b.into(2);
          kernel::reduce_sum[out.device()](detail::plain(grad), {1, grad.size(0), grad.size(1)}, 1.0, out, accumulate);
        }
        if (b.wants(3)) b.set(3, grad);
      });
  return out;
}

}  // namespace dnn
