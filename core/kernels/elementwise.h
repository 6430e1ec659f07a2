// Slots of the element-wise operations: four per functor, made from the functor lists, so that a new functor needs none.
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

// out = f(a, b): a and b have out's shape and type, any strides (0 where broadcast); out is contiguous. When all three are
// contiguous they have one layout, read through `raw`; otherwise all are plain.
template <class F>
inline constinit Slot<void(const F& f, const Tensor& a, const Tensor& b, const Tensor& out)> binary_forward{F::name};

// out = grad * df/da (`operand` 0) or grad * df/db (1) (+ out when `accumulate`), at full broadcast shape; shapes, strides
// and layouts as in binary_forward, grad contiguous. The derivative is not given y. a and b are undefined when F saves
// nothing.
template <class F>
inline constinit Slot<void(const F& f, int operand, const Tensor& grad, const Tensor& a, const Tensor& b,
                           const Tensor& out, bool accumulate)>
    binary_backward{F::name};

template <class Visit>
void visit_elementwise_slots(Visit&& visit) {
  functor::for_each(functor::Unary{}, [&]<class F>(F) { visit(unary_forward<F>), visit(unary_backward<F>); });
  functor::for_each(functor::Binary{}, [&]<class F>(F) { visit(binary_forward<F>), visit(binary_backward<F>); });
}

}  // namespace dnn::kernel
