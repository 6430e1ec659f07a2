// Element-wise operations of one tensor: a line each over one shared body.
#include "dnn/ops/unary.h"

#include "core/ops/elementwise.h"

namespace dnn {

using detail::unary;

Tensor neg(const Tensor& x) { return unary(functor::Affine{.scale = -1}, x, "neg"); }
Tensor abs(const Tensor& x) { return unary(functor::Abs{}, x); }
Tensor exp(const Tensor& x) { return unary(functor::Exp{}, x); }
Tensor log(const Tensor& x) { return unary(functor::Log{}, x); }
Tensor sqrt(const Tensor& x) { return unary(functor::Sqrt{}, x); }
Tensor square(const Tensor& x) { return unary(functor::Square{}, x); }
Tensor relu(const Tensor& x) { return unary(functor::Relu{}, x); }
Tensor sigmoid(const Tensor& x) { return unary(functor::Sigmoid{}, x); }
Tensor tanh(const Tensor& x) { return unary(functor::Tanh{}, x); }
Tensor silu(const Tensor& x) { return unary(functor::Silu{}, x); }

}  // namespace dnn
