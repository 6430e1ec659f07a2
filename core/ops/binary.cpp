// Element-wise operations of two tensors, and of a tensor with a number.
#include "dnn/ops/binary.h"

#include "core/autocast.h"
#include "core/ops/elementwise.h"
#include "dnn/ops/compare.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/reduce.h"
#include "dnn/ops/unary.h"

namespace dnn {

using detail::binary;
using detail::unary;
using detail::widened;

namespace {

// The type that a tensor and a number have in common: integers become float32 when the number is not an integer.
DType type_beside(DType type, Scalar value) {
  if (is_floating(type)) return type;
  if (value.is_floating()) return DType::float32;
  return type == DType::boolean ? DType::int64 : type;
}

Tensor with_scalar(const Tensor& x, Scalar value) { return x.to(type_beside(x.dtype(), value)); }

// Whether the two are computed in int64, of which float64, the type of a functor's numbers, has not every one.
bool is_int64_beside(const Tensor& x, Scalar value) {
  return x.defined() && type_beside(x.dtype(), value) == DType::int64;
}

bool is_bool(const Tensor& x) { return x.defined() && x.dtype() == DType::boolean; }

// Integers have no infinity: a zero among integer divisors is an error, as in PyTorch.
void check_divisor(const char* where, const Tensor& a, const Tensor& b) {
  detail::check_defined(where, {{"a", &a}, {"b", &b}});
  if (is_floating(detail::promoted_type(a, b)) || b.numel() == 0) return;
  if (const double zeros = sum(eq(b, 0)).item(); zeros > 0)
    throw ArgumentError(fmt::format("{}: {:.0f} of the integer divisors are zero, expected none (a {}, b {})", where,
                                    zeros, a.shape(), b.shape()));
}

Tensor affine(const Tensor& x, double scale, double shift, Scalar number, const char* name) {
  return unary(functor::Affine{.scale = scale, .shift = shift}, with_scalar(x, number), name);
}

}  // namespace

// Bools add and multiply as "or" and "and".
Tensor add(const Tensor& a, const Tensor& b) {
  return is_bool(a) && is_bool(b) ? logical_or(a, b) : binary(functor::Add{}, a, b);
}
Tensor sub(const Tensor& a, const Tensor& b) { return binary(functor::Sub{}, a, b); }
Tensor mul(const Tensor& a, const Tensor& b) {
  return is_bool(a) && is_bool(b) ? logical_and(a, b) : binary(functor::Mul{}, a, b);
}
Tensor div(const Tensor& a, const Tensor& b) { return binary(functor::Div{}, a, b); }

Tensor add(const Tensor& a, Scalar b) {
  if (is_int64_beside(a, b)) return binary(functor::Add{}, with_scalar(a, b), detail::number_beside(a, b));
  return affine(a, 1, b.to_double(), b, "add");
}
Tensor sub(const Tensor& a, Scalar b) {
  if (is_int64_beside(a, b)) return binary(functor::Sub{}, with_scalar(a, b), detail::number_beside(a, b));
  return affine(a, 1, -b.to_double(), b, "sub");
}
Tensor sub(Scalar a, const Tensor& b) {
  if (is_int64_beside(b, a)) return binary(functor::Sub{}, detail::number_beside(b, a), with_scalar(b, a));
  return affine(b, -1, a.to_double(), a, "sub");
}
Tensor mul(const Tensor& a, Scalar b) {
  if (is_int64_beside(a, b)) return binary(functor::Mul{}, with_scalar(a, b), detail::number_beside(a, b));
  return affine(a, b.to_double(), 0, b, "mul");
}
Tensor div(const Tensor& a, Scalar b) { return unary(functor::DivideBy{.divisor = b.to_double()}, a); }
Tensor div(Scalar a, const Tensor& b) { return unary(functor::Reciprocal{.numerator = a.to_double()}, b, "div"); }

Tensor pow(const Tensor& a, const Tensor& b) { return binary(functor::Pow{}, widened(a), widened(b)); }

Tensor pow(const Tensor& a, Scalar b) {
  detail::check_defined("pow", {{"a", &a}});
  const Tensor x = with_scalar(widened(a), b);
  const double exponent = b.to_double();
  if (!is_floating(x.dtype())) {
    if (exponent < 0)
      throw ArgumentError(fmt::format("pow: the exponent of integers is {}, expected none below 0 ({} {})",
                                      b.to_int64(), a.dtype(), a.shape()));
    return binary(functor::Pow{}, x, detail::number_beside(x, b));
  }
  if (exponent == 2) return unary(functor::Square{}, x, "pow");
  if (exponent == 0.5) return unary(functor::Sqrt{}, x, "pow");
  if (exponent == -1) return unary(functor::Reciprocal{}, x, "pow");
  return unary(functor::PowNumber{.exponent = exponent}, x);
}

Tensor pow(Scalar a, const Tensor& b) {
  detail::check_defined("pow", {{"b", &b}});
  const Tensor x = with_scalar(widened(b), a);
  if (!is_floating(x.dtype())) return binary(functor::Pow{}, detail::number_beside(x, a), x);
  return unary(functor::NumberPow{.base = a.to_double()}, x);
}

Tensor maximum(const Tensor& a, const Tensor& b) {
  return is_bool(a) && is_bool(b) ? logical_or(a, b) : binary(functor::Maximum{}, a, b);
}
Tensor minimum(const Tensor& a, const Tensor& b) {
  return is_bool(a) && is_bool(b) ? logical_and(a, b) : binary(functor::Minimum{}, a, b);
}

Tensor remainder(const Tensor& a, const Tensor& b) {
  check_divisor("remainder", a, b);
  return binary(functor::Remainder{}, a, b);
}
Tensor remainder(const Tensor& a, Scalar b) { return remainder(a, detail::number_beside(a, b)); }

Tensor floor_divide(const Tensor& a, const Tensor& b) {
  check_divisor("floor_divide", a, b);
  NoGrad no_grad;
  return binary(functor::FloorDivide{}, a, b);
}
Tensor floor_divide(const Tensor& a, Scalar b) { return floor_divide(a, detail::number_beside(a, b)); }

Tensor atan2(const Tensor& a, const Tensor& b) { return binary(functor::Atan2{}, a, b); }

Tensor operator-(const Tensor& x) { return neg(x); }

Tensor detail::number_beside(const Tensor& other, Scalar value) {
  check_defined("number", {{"the tensor beside it", &other}});
  return full({}, value, {.dtype = type_beside(other.dtype(), value), .device = other.device()});
}

}  // namespace dnn
