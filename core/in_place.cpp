// In-place changes of a tensor's elements: refused where autograd records, else like the operation of that name.
#include "core/check.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise.h"
#include "core/node.h"
#include "dnn/ops.h"

namespace dnn {

using detail::Access;

namespace {

// Elements that share their memory would get one of their values, by chance which; only one for all is well defined.
void check_target(const char* name, const Tensor& t) {
  detail::check_in_place(name, t);
  const detail::TensorImpl& impl = Access::impl(t);
  for (int64_t dim = 0; dim < t.rank() && impl.numel > 0; ++dim)
    if (impl.shape[dim] > 1 && impl.strides[dim] == 0)
      throw ArgumentError(
          fmt::format("{}: elements of the tensor share their memory along dimension {}, expected a copy of what was "
                      "expanded (shape {})",
                      name, dim, t.shape()));
}

// Writes an element-wise result, which has the target's shape, over the target.
void overwrite(const char* name, Tensor& target, const Tensor& value) {
  if (value.shape() != target.shape())
    throw ShapeError(fmt::format("{}: the result has shape {}, expected the shape {} of the tensor changed in place",
                                 name, value.shape(), target.shape()));
  if (is_floating(value.dtype()) && !is_floating(target.dtype()))
    throw DTypeError(
        fmt::format("{}: the result is {}, expected one that the {} tensor changed in place can hold (shape {})", name,
                    value.dtype(), target.dtype(), target.shape()));
  target.copy_(value);
}

void check_operand(const char* name, const Tensor& operand) {
  if (grad_enabled() && operand.requires_grad())
    throw AutogradError(
        fmt::format("{}: the operand requires a gradient, which an in-place operation does not record; "
                    "expected an operation that is not in place, or NoGrad (shape {})",
                    name, operand.shape()));
}

// Applies a functor where the elements lie; where they have gaps, or the type may change, by way of the operation. It
// does not change of integers when the functor's number is one too; float64, its type, has not every int64.
template <class F, class Operation>
Tensor& change(const char* name, Tensor& target, const F& f, Operation&& operation, Scalar number = 0.0) {
  check_target(name, target);
  NoGrad no_grad;
  const DType type = target.dtype();
  const bool whole = !F::floating_only && !number.is_floating() && type != DType::boolean && type != DType::int64;
  if (target.is_contiguous() && (is_floating(target.dtype()) || whole)) {
    kernel::unary_forward<F>[target.device()](f, target, target);
    detail::bump_version(target);
  } else {
    overwrite(name, target, operation(target));
  }
  return target;
}

}  // namespace

Tensor& Tensor::fill_(Scalar value) {
  detail::check_in_place("fill_", *this);
  detail::make_plain(*this);
  kernel::fill[device()](*this, value);
  detail::bump_version(*this);
  return *this;
}

Tensor& Tensor::copy_(const Tensor& source) {
  check_target("copy_", *this);
  check_operand("copy_", source);
  NoGrad no_grad;
  detail::make_plain(*this);
  const bool overlaps = Access::impl(source).storage == Access::impl(*this).storage;
  const Tensor here = overlaps ? source.clone() : source.to(device());
  detail::make_plain(here);
  const Tensor expanded = here.shape() == shape() ? here : here.expand(shape());
  if (numel() > 0) kernel::copy[device()](expanded, *this);
  detail::bump_version(*this);
  return *this;
}

Tensor& Tensor::add_(const Tensor& other, Scalar alpha) {
  check_target("add_", *this);
  check_operand("add_", other);
  NoGrad no_grad;
  const Tensor scaled = alpha.to_double() == 1 ? other : other * alpha;
  const detail::TensorImpl &to = Access::impl(*this), &from = Access::impl(scaled);
  const bool overlaps = from.storage == to.storage && from.offset != to.offset;
  const bool direct = is_contiguous() && scaled.is_contiguous() && scaled.shape() == shape() &&
                      scaled.dtype() == dtype() && scaled.device() == device() && !overlaps;
  if (direct) {
    detail::make_plain(*this);
    detail::make_plain(scaled);
    kernel::binary_forward<functor::Add>[device()](functor::Add{}, *this, scaled, *this);
    detail::bump_version(*this);
  } else {
    overwrite("add_", *this, add(*this, scaled));
  }
  return *this;
}

Tensor& Tensor::sub_(const Tensor& other) {
  check_target("sub_", *this);
  check_operand("sub_", other);
  NoGrad no_grad;
  overwrite("sub_", *this, sub(*this, other));
  return *this;
}

Tensor& Tensor::mul_(const Tensor& other) {
  check_target("mul_", *this);
  check_operand("mul_", other);
  NoGrad no_grad;
  overwrite("mul_", *this, mul(*this, other));
  return *this;
}

Tensor& Tensor::div_(const Tensor& other) {
  check_target("div_", *this);
  check_operand("div_", other);
  NoGrad no_grad;
  overwrite("div_", *this, div(*this, other));
  return *this;
}

Tensor& Tensor::mul_(Scalar value) {
  return change(
      "mul_", *this, functor::Affine{.scale = value.to_double()}, [&](const Tensor& x) { return mul(x, value); },
      value);
}
Tensor& Tensor::add_(Scalar value) {
  return change(
      "add_", *this, functor::Affine{.shift = value.to_double()}, [&](const Tensor& x) { return add(x, value); },
      value);
}
Tensor& Tensor::sub_(Scalar value) {
  return change(
      "sub_", *this, functor::Affine{.shift = -value.to_double()}, [&](const Tensor& x) { return sub(x, value); },
      value);
}
Tensor& Tensor::div_(Scalar value) {
  return change(
      "div_", *this, functor::DivideBy{.divisor = value.to_double()}, [&](const Tensor& x) { return div(x, value); },
      value);
}

Tensor& Tensor::pow_(Scalar exponent) {
  check_target("pow_", *this);
  NoGrad no_grad;
  overwrite("pow_", *this, pow(*this, exponent));
  return *this;
}

Tensor& Tensor::clamp_(double low, double high) {
  check_target("clamp_", *this);
  NoGrad no_grad;
  overwrite("clamp_", *this, clamp(*this, low, high));
  return *this;
}

Tensor& Tensor::neg_() { return change("neg_", *this, functor::Affine{.scale = -1}, neg); }
Tensor& Tensor::abs_() { return change("abs_", *this, functor::Abs{}, abs); }
Tensor& Tensor::exp_() { return change("exp_", *this, functor::Exp{}, exp); }
Tensor& Tensor::log_() { return change("log_", *this, functor::Log{}, log); }
Tensor& Tensor::sqrt_() { return change("sqrt_", *this, functor::Sqrt{}, sqrt); }
Tensor& Tensor::relu_() { return change("relu_", *this, functor::Relu{}, relu); }
Tensor& Tensor::sigmoid_() { return change("sigmoid_", *this, functor::Sigmoid{}, sigmoid); }
Tensor& Tensor::tanh_() { return change("tanh_", *this, functor::Tanh{}, dnn::tanh); }

Tensor& Tensor::masked_fill_(const Tensor& mask, Scalar value) {
  check_target("masked_fill_", *this);
  NoGrad no_grad;
  overwrite("masked_fill_", *this, masked_fill(*this, mask, value));
  return *this;
}

// ---- random numbers ------------------------------------------------------------------------------------------------

Tensor& Tensor::uniform_(double low, double high) {
  check_target("uniform_", *this);
  detail::check_floating("uniform_", "tensor", *this);
  NoGrad no_grad;
  return copy_(rand(shape(), options()).mul_(high - low).add_(low));
}

Tensor& Tensor::normal_(double mean, double deviation) {
  check_target("normal_", *this);
  detail::check_floating("normal_", "tensor", *this);
  NoGrad no_grad;
  return copy_(randn(shape(), options()).mul_(deviation).add_(mean));
}

Tensor& Tensor::bernoulli_(double p) {
  check_target("bernoulli_", *this);
  if (!(p >= 0 && p <= 1))
    throw ArgumentError(fmt::format("bernoulli_: p is {}, expected 0 to 1 (shape {})", p, shape()));
  NoGrad no_grad;
  return copy_(lt(rand(shape(), {.device = device()}), p));
}

}  // namespace dnn
