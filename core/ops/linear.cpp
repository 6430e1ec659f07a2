// The affine map of a linear layer.
#include "dnn/ops/linear.h"

#include "core/autocast.h"
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

namespace {

// The mask for ReLU's way back when there is someone to make use of it, for a layer with a bias that wants a gradient.
Tensor relu_mask(const Tensor& x, const Tensor& weight, const Tensor& bias, const LinearOptions& options) {
  const bool wanted = grad_enabled() && bias.defined() && bias.requires_grad() && bias.is_leaf();
  if (!wanted || x.numel() == 0 || weight.numel() == 0 || options.activation != Activation::relu ||
      options.add.defined())
    return {};
  if (!kernel::linear_relu.filled(x.device()) || !kernel::linear_backward_relu.filled(x.device())) return {};
  return detail::allocate({x.size(0), kernel::mask_bytes(weight.size(0))}, DType::uint8, x.device());
}

// The gradient of the input; and, where a linear layer with ReLU made it an offer, what comes first on that layer's way
// back.
void input_gradient(Backward& b, const Tensor& grad, const Tensor& weight) {
  const detail::ReluOffer* const offer = b.offer(0);
  const detail::Destination into = b.into(0);
  if (offer != nullptr && !into.accumulate && grad.numel() != 0) {
    const Tensor bias = b.offered_bias(0);
    bool done = false;
    kernel::linear_backward_relu[grad.device()](detail::plain(grad), detail::plain(weight), offer->mask, into.tensor,
                                                bias, &done);
    if (done) return b.take_offer(0, bias);
  }
  gemm(grad, false, weight, false, into);
}

}  // namespace

Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias, const LinearOptions& options) {
  const Tensor& add = options.add;
  if (detail::autocasts()) {
    const detail::CastScope cast("linear", input);
    const Tensor x = cast(input), w = cast.weight(weight), b = cast.weight(bias);
    if (!add.defined() || add.dtype() == cast.type()) return linear(x, w, b, options);
    return detail::compose(linear(x, w, b), add, options.activation);
  }
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
  std::shared_ptr<detail::ReluOffer> offer;
  {
    const Tensor mask = relu_mask(input, weight, bias, options);
    NoGrad no_grad;
    const Tensor x_plain = detail::plain(input), w_plain = detail::plain(weight);
    const Tensor b_plain = bias.defined() ? detail::plain(bias) : bias;
    bool done = false;
    if (mask.defined()) kernel::linear_relu[input.device()](x_plain, w_plain, b_plain, out, mask, &done);
    if (done)
      offer = std::make_shared<detail::ReluOffer>(detail::ReluOffer{.mask = mask, .bias = 2});
    else
      kernel::linear_fused[input.device()](x_plain, w_plain, b_plain, add.defined() ? detail::plain(add) : add,
                                           options.activation, out,
                                           options.activation == Activation::gelu_tanh ? saved : Tensor());
  }
  detail::record(
      "linear", out, {input, weight, bias, add},
      [x = Saved(input), w = Saved(weight), saved = saved.defined() ? Saved(saved) : Saved(),
       activation = options.activation, offer](Backward& b) {
        const bool taken = offer != nullptr && offer->taken;
        const Tensor output = b.get(saved);
        const Tensor grad = taken ? b.grad() : detail::before_activation(b.grad(), output, activation);
        if (b.wants(0)) input_gradient(b, grad, b.get(w));
        if (taken) {
          if (b.wants(1)) gemm(grad, true, b.get(x), false, b.into(1));
          return;
        }
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
  if (offer != nullptr) detail::make_offer(out, offer);
  return out;
}

}  // namespace dnn
