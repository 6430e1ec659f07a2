// What the fused operations share: the composition for devices without a fused kernel, and the way back through the
// activation.
#pragma once

#include "core/kernels/elementwise.h"
#include "core/node.h"
#include "dnn/ops/activation.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/linear.h"

namespace dnn::detail {

// activation(y + add), out of plain operations; `add` may be undefined.
inline Tensor compose(const Tensor& y, const Tensor& add, Activation activation) {
  const Tensor sum = add.defined() ? dnn::add(y, add) : y;
  return activation == Activation::relu ? relu(sum) : sum;
}

// The gradient in front of the activation from the one behind it and the output y (undefined for no activation).
inline Tensor before_activation(const Tensor& gradient, const Tensor& y, Activation activation) {
  if (activation == Activation::none) return gradient;
  const Tensor grad = in_layout(gradient, layout_of(y));
  Tensor result = allocate_like(y);
  kernel::unary_backward<functor::Relu>[y.device()](functor::Relu{}, grad, y, result, false);
  return result;
}

// The same values, contiguous and plain, for kernels that know nothing else.
inline Tensor plain(const Tensor& t) {
  Tensor result = t.contiguous();
  make_plain(result);
  return result;
}

}  // namespace dnn::detail
