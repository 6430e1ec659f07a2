// Matrix products.
#include "dnn/ops/linear.h"

#include "core/check.h"
#include "core/kernels/linear.h"
#include "core/kernels/reduce.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/unary.h"

namespace dnn {

using detail::Backward;
using detail::Saved;

namespace {

// A matrix as gemm reads it: the memory of a transposed view is used as it lies.
struct Operand {
  Tensor matrix;
  bool transposed;
};

Operand operand(const Tensor& t) {
  NoGrad no_grad;
  Operand result{t, false};
  if (!t.is_contiguous() && t.t().is_contiguous()) result = {t.t(), true};
  result.matrix = result.matrix.contiguous();
  detail::make_plain(result.matrix);
  return result;
}

// out = op(a) op(b), the flags coming on top of how the operands lie.
void gemm(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const detail::Destination& out) {
  const Operand left = operand(a), right = operand(b);
  kernel::gemm[out.tensor.device()](left.matrix, left.transposed != transpose_a, right.matrix,
                                    right.transposed != transpose_b, out.tensor, out.accumulate);
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  detail::check_defined("matmul", {{"a", &a}, {"b", &b}});
  detail::check_same_device("matmul", {{"a", &a}, {"b", &b}});
  const DType type = detail::check_same_dtype("matmul", {{"a", &a}, {"b", &b}});
  detail::check_floating("matmul", "a", a);
  if (a.rank() != 2 || b.rank() != 2 || a.size(1) != b.size(0))
    throw ShapeError(fmt::format("matmul: {} and {} do not multiply, expected [m, k] and [k, n]", a.shape(), b.shape()));
  Tensor out = detail::allocate({a.size(0), b.size(1)}, type, a.device());
  gemm(a, false, b, false, {out, false});
  detail::record("matmul", out, {a, b}, [a = Saved(a), b = Saved(b)](Backward& back) {
    if (back.wants(0)) gemm(back.grad(), false, back.get(b), true, back.into(0));
    if (back.wants(1)) gemm(back.get(a), true, back.grad(), false, back.into(1));
  });
  return out;
}

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
                                 input.rank() == 0 ? 0 : input.size(-1), weight.size(1), input.shape(), weight.shape()));
  if (bias.defined() && bias.shape() != Shape{features})
    throw ShapeError(fmt::format("linear: bias has shape {}, expected [{}] (input {}, weight {})", bias.shape(), features,
                                 input.shape(), weight.shape()));
  Shape result = input.shape();
  result[result.rank() - 1] = features;
  if (add.defined() && add.shape() != result)
    throw ShapeError(fmt::format("linear: add has shape {}, expected the result's {} (input {}, weight {})", add.shape(),
                                 result, input.shape(), weight.shape()));
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
  {
    NoGrad no_grad;
    const Tensor x_plain = detail::plain(input), w_plain = detail::plain(weight);
    kernel::linear_fused[input.device()](x_plain, w_plain, bias.defined() ? detail::plain(bias) : bias,
                                         add.defined() ? detail::plain(add) : add, options.activation, out);
  }
  Saved y = options.activation == Activation::none ? Saved() : Saved(out);
  detail::record("linear", out, {input, weight, bias, add},
                 [x = Saved(input), w = Saved(weight), y, activation = options.activation](Backward& b) {
                   const Tensor grad = detail::before_activation(b.grad(), b.get(y), activation);
                   if (b.wants(0)) gemm(grad, false, b.get(w), false, b.into(0));
                   if (b.wants(1)) gemm(grad, true, b.get(x), false, b.into(1));
                   if (b.wants(2)) {
                     const auto [out, accumulate] = b.into(2);
                     kernel::reduce_sum[out.device()](detail::plain(grad), {1, grad.size(0), grad.size(1)}, 1.0, out,
                                                      accumulate);
                   }
                   if (b.wants(3)) b.set(3, grad);
                 });
  return out;
}

}  // namespace dnn
