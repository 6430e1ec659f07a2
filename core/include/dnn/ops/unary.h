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
/// The nearest number in [low, high], NaN staying NaN; the derivative is 1 at both ends. Throws ArgumentError unless
/// low <= high; infinities leave a side open.
Tensor clamp(const Tensor& x, double low, double high);
/// e^x.
Tensor exp(const Tensor& x);
/// Natural logarithm.
Tensor log(const Tensor& x);
/// Square root.
Tensor sqrt(const Tensor& x);
/// x * x.
Tensor square(const Tensor& x);
/// Hyperbolic tangent.
Tensor tanh(const Tensor& x);
/// log(1 + x), exact near 0.
Tensor log1p(const Tensor& x);
/// e^x - 1, exact near 0.
Tensor expm1(const Tensor& x);
/// 1 / sqrt(x).
Tensor rsqrt(const Tensor& x);
/// 1 / x.
Tensor reciprocal(const Tensor& x);
/// Sine of x in radians.
Tensor sin(const Tensor& x);
/// Cosine of x in radians.
Tensor cos(const Tensor& x);
/// The error function, 2 / sqrt(pi) * the integral of e^(-t^2) from 0 to x.
Tensor erf(const Tensor& x);
/// -1, 0 or 1; 0 for NaN. The gradient is 0.
Tensor sign(const Tensor& x);
/// The largest whole number <= x; the gradient is 0.
Tensor floor(const Tensor& x);
/// The smallest whole number >= x; the gradient is 0.
Tensor ceil(const Tensor& x);
/// The nearest whole number, halves to the even one; the gradient is 0.
Tensor round(const Tensor& x);

}  // namespace dnn
