// Slots of the element-wise operations, made from the functor lists, so that a new functor needs none: forward and
// backward for what is differentiated, one for a predicate.
#pragma once

#include "core/functors.h"
#include "core/slot.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// out = f(x): same type, same numel, contiguous; layout-transparent (both have the same layout, read through `raw`).
template <class F>
inline constinit Slot<void(const F& f, const Tensor& x, const Tensor& out)> unary_forward{F::name};

// out = grad * f'(x, y) (+ out when `accumulate`), `saved` being x or y as F::saves says, undefined for neither. All
// contiguous, floating, of one layout.
template <class F>
inline constinit Slot<void(const F& f, const Tensor& grad, const Tensor& saved, const Tensor& out, bool accumulate)>
    unary_backward{F::name};

// out = f(a, b): a and b have out's shape and type, any strides (0 where broadcast); out is contiguous. When all three
// are contiguous they have one layout, read through `raw`; otherwise all are plain.
template <class F>
inline constinit Slot<void(const F& f, const Tensor& a, const Tensor& b, const Tensor& out)> binary_forward{F::name};

// out = grad * df/da (`operand` 0) or grad * df/db (1) (+ out when `accumulate`), at full broadcast shape; shapes,
// strides and layouts as in binary_forward, grad contiguous. The derivative is not given y. a and b are undefined when
// F saves nothing.
template <class F>
inline constinit Slot<void(const F& f, int operand, const Tensor& grad, const Tensor& a, const Tensor& b,
                           const Tensor& out, bool accumulate)>
    binary_backward{F::name};

// out = f(x), bool: contiguous, plain, of any type.
template <class F>
inline constinit Slot<void(const F& f, const Tensor& x, const Tensor& out)> unary_predicate{F::name};

// out = f(a, b), bool and contiguous: a and b have out's shape, one type, any strides. All plain.
template <class F>
inline constinit Slot<void(const F& f, const Tensor& a, const Tensor& b, const Tensor& out)> binary_predicate{F::name};

// out = condition ? a : b: condition is bool, the others of one type; all of out's shape and any strides, out
// contiguous. All plain.
inline constinit Slot<void(const Tensor& condition, const Tensor& a, const Tensor& b, const Tensor& out)> where{
    "where"};

template <class Visit>
void visit_elementwise_slots(Visit&& visit) {
  const auto unary = [&]<class F>(F) { visit(unary_forward<F>), visit(unary_backward<F>); };
  functor::for_each(functor::Unary{}, unary);
  functor::for_each(functor::Activations{}, unary);
  functor::for_each(functor::Binary{}, [&]<class F>(F) { visit(binary_forward<F>), visit(binary_backward<F>); });
  functor::for_each(functor::UnaryPredicates{}, [&]<class F>(F) { visit(unary_predicate<F>); });
  functor::for_each(functor::BinaryPredicates{}, [&]<class F>(F) { visit(binary_predicate<F>); });
  visit(where);
}

}  // namespace dnn::kernel
