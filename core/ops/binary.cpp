// Element-wise operations of two tensors, and of a tensor with a number.
#include "dnn/ops/binary.h"

#include "core/ops/elementwise.h"
#include "dnn/ops/unary.h"

namespace dnn {

using detail::binary;
using detail::unary;

namespace {

// x in the type that x and a number have in common: integers become float32 when the number is not an integer.
Tensor with_scalar(const Tensor& x, Scalar value) {
  if (is_floating(x.dtype())) return x;
  if (value.is_floating()) return x.to(DType::float32);
  return x.dtype() == DType::boolean ? x.to(DType::int64) : x;
}

Tensor affine(const Tensor& x, double scale, double shift, Scalar number, const char* name) {
  return unary(functor::Affine{.scale = scale, .shift = shift}, with_scalar(x, number), name);
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) { return binary(functor::Add{}, a, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return binary(functor::Sub{}, a, b); }
Tensor mul(const Tensor& a, const Tensor& b) { return binary(functor::Mul{}, a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return binary(functor::Div{}, a, b); }

Tensor add(const Tensor& a, Scalar b) { return affine(a, 1, b.to_double(), b, "add"); }
Tensor sub(const Tensor& a, Scalar b) { return affine(a, 1, -b.to_double(), b, "sub"); }
Tensor sub(Scalar a, const Tensor& b) { return affine(b, -1, a.to_double(), a, "sub"); }
Tensor mul(const Tensor& a, Scalar b) { return affine(a, b.to_double(), 0, b, "mul"); }
Tensor div(const Tensor& a, Scalar b) { return unary(functor::DivideBy{.divisor = b.to_double()}, a); }
Tensor div(Scalar a, const Tensor& b) { return unary(functor::Reciprocal{.numerator = a.to_double()}, b, "div"); }

Tensor operator-(const Tensor& x) { return neg(x); }

}  // namespace dnn
