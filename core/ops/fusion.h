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
  switch (activation) {
    case Activation::none: return sum;
    case Activation::relu: return relu(sum);
    case Activation::gelu_tanh: return gelu(sum, GeluForm::tanh);
  }
  return sum;
}

// The gradient in front of the activation from the one behind it and what its functor saves: the output of relu, the
// argument of gelu_tanh, undefined for none.
inline Tensor before_activation(const Tensor& gradient, const Tensor& saved, Activation activation) {
  if (activation == Activation::none) return gradient;
  const Tensor grad = in_layout(gradient, layout_of(saved));
  Tensor result = allocate_like(saved);
  const auto derive = [&]<class Functor>(Functor functor) {
    kernel::unary_backward<Functor>[saved.device()](functor, grad, saved, result, false);
  };
  activation == Activation::relu ? derive(functor::Relu{}) : derive(functor::GeluTanh{});
  return result;
}

// The same values, contiguous and plain, for kernels that know nothing else.
inline Tensor plain(const Tensor& t) {
  Tensor result = t.contiguous();
  make_plain(result);
  return result;
}

}  // namespace dnn::detail
