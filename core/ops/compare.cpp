// Predicates, a line each over their shared bodies, and the choice by condition.
#include "dnn/ops/compare.h"

#include "core/ops/elementwise.h"
#include "dnn/ops/factory.h"

namespace dnn {

using detail::binary_predicate;
using detail::number_beside;
using detail::unary_predicate;

Tensor eq(const Tensor& a, const Tensor& b) { return binary_predicate(functor::Eq{}, a, b); }
Tensor ne(const Tensor& a, const Tensor& b) { return binary_predicate(functor::Ne{}, a, b); }
Tensor lt(const Tensor& a, const Tensor& b) { return binary_predicate(functor::Lt{}, a, b); }
Tensor le(const Tensor& a, const Tensor& b) { return binary_predicate(functor::Le{}, a, b); }
Tensor gt(const Tensor& a, const Tensor& b) { return binary_predicate(functor::Gt{}, a, b); }
Tensor ge(const Tensor& a, const Tensor& b) { return binary_predicate(functor::Ge{}, a, b); }
Tensor eq(const Tensor& a, Scalar b) { return binary_predicate(functor::Eq{}, a, number_beside(a, b)); }
Tensor ne(const Tensor& a, Scalar b) { return binary_predicate(functor::Ne{}, a, number_beside(a, b)); }
Tensor lt(const Tensor& a, Scalar b) { return binary_predicate(functor::Lt{}, a, number_beside(a, b)); }
Tensor le(const Tensor& a, Scalar b) { return binary_predicate(functor::Le{}, a, number_beside(a, b)); }
Tensor gt(const Tensor& a, Scalar b) { return binary_predicate(functor::Gt{}, a, number_beside(a, b)); }
Tensor ge(const Tensor& a, Scalar b) { return binary_predicate(functor::Ge{}, a, number_beside(a, b)); }
Tensor logical_and(const Tensor& a, const Tensor& b) { return binary_predicate(functor::LogicalAnd{}, a, b); }
Tensor logical_or(const Tensor& a, const Tensor& b) { return binary_predicate(functor::LogicalOr{}, a, b); }
Tensor logical_xor(const Tensor& a, const Tensor& b) { return binary_predicate(functor::LogicalXor{}, a, b); }
Tensor logical_not(const Tensor& x) { return unary_predicate(functor::LogicalNot{}, x); }
Tensor isnan(const Tensor& x) { return unary_predicate(functor::IsNan{}, x); }
Tensor isinf(const Tensor& x) { return unary_predicate(functor::IsInf{}, x); }
Tensor isfinite(const Tensor& x) { return unary_predicate(functor::IsFinite{}, x); }

namespace {

// Everything as plain views of the broadcast shape.
void choose(const Tensor& condition, const Tensor& a, const Tensor& b, const Tensor& out) {
  NoGrad no_grad;
  detail::make_plain(condition), detail::make_plain(a), detail::make_plain(b);
  const Shape& shape = out.shape();
  kernel::where[out.device()](condition.expand(shape), a.expand(shape), b.expand(shape), out);
}

Tensor where(const char* name, const Tensor& condition, const Tensor& left, const Tensor& right) {
  detail::check_same_device(name, {{"condition", &condition}, {"a", &left}, {"b", &right}});
  if (condition.dtype() != DType::boolean)
    throw DTypeError(
        fmt::format("{}: the condition is {}, expected bool (shape {})", name, condition.dtype(), condition.shape()));
  const Shape shape = broadcast_shapes(condition.shape(), broadcast_shapes(left.shape(), right.shape(), name), name);
  const DType type = detail::promoted_type(left, right);
  const Tensor a = left.to(type), b = right.to(type);
  Tensor out = detail::allocate(shape, type, a.device());
  choose(condition, a, b, out);
  detail::record(name, out, {a, b}, [saved = detail::Saved(condition)](detail::Backward& back) {
    const Tensor grad = detail::in_layout(back.grad(), detail::Layout::plain), kept = back.get(saved);
    const Tensor zero = zeros({}, grad.options());
    for (int operand = 0; operand < 2; ++operand) {
      if (!back.wants(operand)) continue;
      const Tensor chosen = detail::allocate(grad.shape(), grad.dtype(), grad.device());
      choose(kept, operand == 0 ? grad : zero, operand == 0 ? zero : grad, chosen);
      back.set(operand, chosen);
    }
  });
  return out;
}

}  // namespace

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  detail::check_defined("where", {{"condition", &condition}, {"a", &a}, {"b", &b}});
  return where("where", condition, a, b);
}
Tensor where(const Tensor& condition, const Tensor& a, Scalar b) { return where(condition, a, number_beside(a, b)); }
Tensor where(const Tensor& condition, Scalar a, const Tensor& b) { return where(condition, number_beside(b, a), b); }
Tensor where(const Tensor& condition, Scalar a, Scalar b) {
  detail::check_defined("where", {{"condition", &condition}});
  const DType type = a.is_floating() || b.is_floating() ? DType::float32 : DType::int64;
  const TensorOptions options{.dtype = type, .device = condition.device()};
  return where(condition, full({}, a, options), full({}, b, options));
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, Scalar value) {
  detail::check_defined("masked_fill", {{"x", &x}, {"mask", &mask}});
  return where("masked_fill", mask, full({}, value, x.options()), x);
}

}  // namespace dnn
