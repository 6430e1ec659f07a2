// Activations: element-wise operations of one tensor between the layers of a network.
//
// Integer inputs are converted to float32 first, except by relu and relu6, which keep the type.
#pragma once

#include "dnn/tensor.h"

namespace dnn {

/// max(x, 0) (Nair & Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010).
Tensor relu(const Tensor& x);
/// min(max(x, 0), 6) (Howard et al., "MobileNets", 2017); the derivative is 0 at both ends.
Tensor relu6(const Tensor& x);
/// x, below 0 `slope` * x (Maas et al., "Rectifier nonlinearities improve neural network acoustic models", ICML 2013).
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
/// x, below 0 weight * x, with one weight [1] for all or one per channel [c] of x [n, c, ...] (He et al., "Delving deep
/// into rectifiers", ICCV 2015). Throws ShapeError when the channels differ.
Tensor prelu(const Tensor& x, const Tensor& weight);
/// x, below 0 `alpha` * (e^x - 1) (Clevert et al., "Fast and accurate deep network learning by exponential linear
/// units", ICLR 2016).
Tensor elu(const Tensor& x, double alpha = 1);
/// elu with the two constants that keep mean 0 and variance 1 (Klambauer et al., "Self-normalizing neural networks",
/// NIPS 2017).
Tensor selu(const Tensor& x);
/// 1 / (1 + e^-x).
Tensor sigmoid(const Tensor& x);
/// log(sigmoid(x)), without overflow.
Tensor logsigmoid(const Tensor& x);
/// min(max(x + 3, 0), 6) / 6 (Howard et al., "Searching for MobileNetV3", ICCV 2019).
Tensor hardsigmoid(const Tensor& x);
/// x * sigmoid(x), also called swish (Ramachandran et al., "Searching for activation functions", 2017).
Tensor silu(const Tensor& x);
/// x * hardsigmoid(x) (Howard et al., "Searching for MobileNetV3", ICCV 2019).
Tensor hardswish(const Tensor& x);
/// x * tanh(softplus(x)) (Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020).
Tensor mish(const Tensor& x);

/// Options of `softplus`.
struct SoftplusOptions {
  double beta = 1;        ///< How sharp the bend is.
  double threshold = 20;  ///< Where beta * x is larger, the result is x itself.
};
/// log(1 + e^(beta * x)) / beta (Dugas et al., "Incorporating second-order functional knowledge for better option
/// pricing", NIPS 2000). Throws ArgumentError unless beta > 0.
Tensor softplus(const Tensor& x, const SoftplusOptions& options = {});

/// How `gelu` computes the normal distribution: exactly, or by tanh(sqrt(2 / pi) (x + 0.044715 x^3)).
enum class GeluForm { exact, tanh };
/// x times the probability that a normal number is below x (Hendrycks & Gimpel, "Gaussian error linear units", 2016).
Tensor gelu(const Tensor& x, GeluForm form = GeluForm::exact);

}  // namespace dnn
