// The activations as layers. An element-wise one is one line: the operation and the name of the layer.
#pragma once

#include <algorithm>

#include "dnn/layer.h"
#include "dnn/ops/activation.h"
#include "dnn/ops/softmax.h"
#include "dnn/ops/unary.h"

namespace dnn {

namespace detail {
// A text as a template argument.
template <size_t n>
struct Literal {
  constexpr Literal(const char (&text)[n]) { std::copy_n(text, n, characters); }
  char characters[n];
};
}  // namespace detail

/// A layer that applies an element-wise operation.
template <Tensor (*operation)(const Tensor&), detail::Literal name>
class ActivationLayer : public Layer {
 public:
  DNN_MODULE()
  Tensor forward(Tensor x) override { return operation(x); }
  std::string type_name() const override { return name.characters; }
};

using ReLU = ActivationLayer<relu, "ReLU">;                       ///< max(x, 0)
using ReLU6 = ActivationLayer<relu6, "ReLU6">;                    ///< min(max(x, 0), 6)
using SELU = ActivationLayer<selu, "SELU">;                       ///< The self-normalising elu
using Sigmoid = ActivationLayer<sigmoid, "Sigmoid">;              ///< 1 / (1 + e^-x)
using LogSigmoid = ActivationLayer<logsigmoid, "LogSigmoid">;     ///< log(sigmoid(x))
using Hardsigmoid = ActivationLayer<hardsigmoid, "Hardsigmoid">;  ///< min(max(x + 3, 0), 6) / 6
using Tanh = ActivationLayer<tanh, "Tanh">;                       ///< Hyperbolic tangent
using SiLU = ActivationLayer<silu, "SiLU">;                       ///< x * sigmoid(x)
using Hardswish = ActivationLayer<hardswish, "Hardswish">;        ///< x * hardsigmoid(x)
using Mish = ActivationLayer<mish, "Mish">;                       ///< x * tanh(softplus(x))

/// x, below 0 slope * x.
class LeakyReLU : public Layer {
 public:
  DNN_MODULE()
  explicit LeakyReLU(double slope = 0.01) : slope_(slope) {}
  Tensor forward(Tensor x) override { return leaky_relu(x, slope_); }
  std::string describe() const override;

 private:
  double slope_;
};

/// x, below 0 alpha * (e^x - 1).
class ELU : public Layer {
 public:
  DNN_MODULE()
  explicit ELU(double alpha = 1) : alpha_(alpha) {}
  Tensor forward(Tensor x) override { return elu(x, alpha_); }
  std::string describe() const override;

 private:
  double alpha_;
};

/// x times the probability that a normal number is below x.
class GELU : public Layer {
 public:
  DNN_MODULE()
  explicit GELU(GeluForm form = GeluForm::exact) : form_(form) {}
  Tensor forward(Tensor x) override { return gelu(x, form_); }
  GeluForm form() const { return form_; }  ///< As given.
  std::string describe() const override { return form_ == GeluForm::tanh ? "form=tanh" : ""; }

 private:
  GeluForm form_;
};

/// log(1 + e^(beta * x)) / beta.
class Softplus : public Layer {
 public:
  DNN_MODULE()
  explicit Softplus(const SoftplusOptions& options = {}) : options_(options) {}
  Tensor forward(Tensor x) override { return softplus(x, options_); }
  std::string describe() const override;

 private:
  SoftplusOptions options_;
};

/// Options of `ScaledTanh`.
struct ScaledTanhOptions {
  double output = 1.7159;  ///< Factor of the result.
  double input = 2.0 / 3;  ///< Factor of the argument.
};

/// output * tanh(input * x), by default the one that leaves 1 and -1 where they are (LeCun et al., "Efficient
/// BackProp", 1998).
class ScaledTanh : public Layer {
 public:
  DNN_MODULE()
  explicit ScaledTanh(const ScaledTanhOptions& options = {}) : options_(options) {}
  Tensor forward(Tensor x) override;
  std::string describe() const override;

 private:
  ScaledTanhOptions options_;
};

/// Options of `PReLU`.
struct PReluOptions {
  double init = 0.25;  ///< The weights at the start.
};

/// x, below 0 weight * x, with one learned weight for all elements or one per channel.
class PReLU : public Layer {
 public:
  Parameter weight;  ///< [weights]
  DNN_MODULE(weight)
  /// Throws ArgumentError for less than one weight.
  explicit PReLU(int64_t weights = 1, const PReluOptions& options = {});
  Tensor forward(Tensor x) override { return prelu(x, weight); }
  std::string describe() const override;
};

/// e^x / sum(e^x) along one dimension.
class Softmax : public Layer {
 public:
  DNN_MODULE()
  explicit Softmax(int64_t dim = -1) : dim_(dim) {}
  Tensor forward(Tensor x) override { return softmax(x, dim_); }
  std::string describe() const override { return "dim=" + std::to_string(dim_); }

 private:
  int64_t dim_;
};

/// log(e^x / sum(e^x)) along one dimension.
class LogSoftmax : public Layer {
 public:
  DNN_MODULE()
  explicit LogSoftmax(int64_t dim = -1) : dim_(dim) {}
  Tensor forward(Tensor x) override { return log_softmax(x, dim_); }
  std::string describe() const override { return "dim=" + std::to_string(dim_); }

 private:
  int64_t dim_;
};

}  // namespace dnn
