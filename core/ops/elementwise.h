// The one body of all unary operations and the one body of all binary ones: check, allocate, kernel, record. Those of
// the predicates have nothing to record.
#pragma once

#include <tuple>
#include <utility>

#include "core/check.h"
#include "core/kernels/elementwise.h"
#include "core/node.h"

namespace dnn::detail {

// The type in which the result of a functor on that type is computed and stored.
template <class F>
DType result_type(const F&, const char* name, DType type) {
  if (is_floating(type)) return type;
  if (F::floating_only) return DType::float32;
  if (type == DType::boolean) throw DTypeError(fmt::format("{}: the input is bool, expected a number type", name));
  return type;
}

template <class F>
Tensor unary(const F& f, const Tensor& input, const char* name = F::name) {
  check_defined(name, {{"input", &input}});
  const Tensor x = input.to(result_type(f, name, input.dtype())).contiguous();
  Tensor y = allocate_like(x);
  kernel::unary_forward<F>[x.device()](f, x, y);
  Saved saved;
  if constexpr (F::saves == functor::Saves::input) saved = Saved(x);
  if constexpr (F::saves == functor::Saves::output) saved = Saved(y);
  record(name, y, {x}, [f, saved](Backward& b) {
    const Tensor kept = b.get(saved);
    const Layout layout = kept.defined() ? layout_of(kept) : layout_of(b.grad());
    const auto [out, accumulate] = b.into(0, layout);
    kernel::unary_backward<F>[out.device()](f, in_layout(b.grad(), layout), kept, out, accumulate);
  });
  return y;
}

// Whether two operands can be read element by element, without broadcasting.
inline bool is_direct(const Tensor& a, const Tensor& b, const Shape& shape) {
  return a.shape() == shape && b.shape() == shape && a.is_contiguous() && b.is_contiguous();
}

// Both operands as plain views of the broadcast shape.
inline std::pair<Tensor, Tensor> spread(const Tensor& a, const Tensor& b, const Shape& shape) {
  NoGrad no_grad;
  make_plain(a), make_plain(b);
  return {a.expand(shape), b.expand(shape)};
}

// The type that two operands have in common; a scalar tensor counts only where its kind of number is the wider one.
inline DType promoted_type(const Tensor& a, const Tensor& b) {
  if ((a.rank() == 0) == (b.rank() == 0)) return promote_types(a.dtype(), b.dtype());
  const DType array = a.rank() == 0 ? b.dtype() : a.dtype();
  const DType scalar = a.rank() == 0 ? a.dtype() : b.dtype();
  const auto kind = [](DType type) { return is_floating(type) ? 2 : type == DType::boolean ? 0 : 1; };
  return kind(scalar) > kind(array) ? scalar : array;
}

template <class F>
Tensor binary(const F& f, const Tensor& left, const Tensor& right) {
  check_defined(F::name, {{"a", &left}, {"b", &right}});
  check_same_device(F::name, {{"a", &left}, {"b", &right}});
  const Shape shape = broadcast_shapes(left.shape(), right.shape(), F::name);
  const DType type = result_type(f, F::name, promoted_type(left, right));
  const Tensor a = left.to(type), b = right.to(type);
  Tensor out = allocate(shape, type, a.device());
  if (is_direct(a, b, shape)) {
    const Layout layout = layout_of(a) != Layout::plain ? layout_of(a) : layout_of(b);
    set_layout(out, layout);
    kernel::binary_forward<F>[out.device()](f, in_layout(a, layout), in_layout(b, layout), out);
  } else {
    const auto [a_spread, b_spread] = spread(a, b, shape);
    kernel::binary_forward<F>[out.device()](f, a_spread, b_spread, out);
  }

  Saved saved_a, saved_b;
  if constexpr (F::saves != functor::Saves::nothing) saved_a = Saved(a), saved_b = Saved(b);
  record(F::name, out, {a, b}, [f, saved_a, saved_b, shape](Backward& back) {
    for (int operand = 0; operand < 2; ++operand) {
      if (!back.wants(operand)) continue;
      if constexpr (F::saves == functor::Saves::nothing) {
        // A constant derivative: 1 hands the gradient on as it is.
        const double slope = operand == 0 ? f.derivative_a(0.0, 0.0, 0.0) : f.derivative_b(0.0, 0.0, 0.0);
        if (slope == 1) {
          back.set(operand, back.grad());
          continue;
        }
      }
      Tensor a = back.get(saved_a), b = back.get(saved_b);
      const bool direct = !a.defined() || is_direct(a, b, shape);
      const Layout layout = direct ? layout_of(back.grad()) : Layout::plain;
      if (a.defined())
        std::tie(a, b) = direct ? std::pair(in_layout(a, layout), in_layout(b, layout)) : spread(a, b, shape);
      const Tensor grad = in_layout(back.grad(), layout);
      if (back.shape(operand) == shape) {
        const auto [out, accumulate] = back.into(operand, layout);
        kernel::binary_backward<F>[out.device()](f, operand, grad, a, b, out, accumulate);
      } else {
        Tensor full = allocate(shape, grad.dtype(), grad.device());
        set_layout(full, layout);
        kernel::binary_backward<F>[full.device()](f, operand, grad, a, b, full, false);
        back.set(operand, full);
      }
    }
  });
  return out;
}

// A number as a scalar tensor of the type that it and `other` have in common.
Tensor number_beside(const Tensor& other, Scalar value);

template <class F>
Tensor unary_predicate(const F& f, const Tensor& input) {
  check_defined(F::name, {{"input", &input}});
  NoGrad no_grad;
  const Tensor x = input.contiguous();
  make_plain(x);
  Tensor out = allocate(x.shape(), DType::boolean, x.device());
  kernel::unary_predicate<F>[x.device()](f, x, out);
  return out;
}

template <class F>
Tensor binary_predicate(const F& f, const Tensor& left, const Tensor& right) {
  check_defined(F::name, {{"a", &left}, {"b", &right}});
  check_same_device(F::name, {{"a", &left}, {"b", &right}});
  NoGrad no_grad;
  const Shape shape = broadcast_shapes(left.shape(), right.shape(), F::name);
  const DType type = promoted_type(left, right);
  const auto [a, b] = spread(left.to(type), right.to(type), shape);
  Tensor out = allocate(shape, DType::boolean, a.device());
  kernel::binary_predicate<F>[out.device()](f, a, b, out);
  return out;
}

}  // namespace dnn::detail
