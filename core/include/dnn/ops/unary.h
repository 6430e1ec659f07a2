// Element-wise operations of one tensor: the result has the input's shape, y[i] = f(x[i]).
//
// Integer inputs of functions with fractional results are converted to float32 first, as in PyTorch.
#pragma once

#include "dnn/tensor.h"

namespace dnn {

/// -x.
Tensor neg(const Tensor& x);
/// |x|; the derivative at 0 is 0.
Tensor abs(const Tensor& x);
/// The nearest number in [low, high], NaN staying NaN; the derivative is 1 at both ends. Throws ArgumentError unless low <=
/// high; infinities leave a side open.
Tensor clamp(const Tensor& x, double low, double high);
/// e^x.
Tensor exp(const Tensor& x);
/// Natural logarithm.
Tensor log(const Tensor& x);
/// Square root.
Tensor sqrt(const Tensor& x);
/// x * x.
Tensor square(const Tensor& x);
/// max(x, 0) (Nair & Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010).
Tensor relu(const Tensor& x);
/// 1 / (1 + e^-x).
Tensor sigmoid(const Tensor& x);
/// Hyperbolic tangent.
Tensor tanh(const Tensor& x);
/// x * sigmoid(x), also called swish (Ramachandran et al., "Searching for activation functions", 2017).
Tensor silu(const Tensor& x);

}  // namespace dnn
