// The activations as layers. An element-wise one is one line: the operation and the name of the layer.
#pragma once

#include <algorithm>

#include "dnn/layer.h"
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

using ReLU = ActivationLayer<relu, "ReLU">;           ///< max(x, 0)
using Sigmoid = ActivationLayer<sigmoid, "Sigmoid">;  ///< 1 / (1 + e^-x)
using Tanh = ActivationLayer<tanh, "Tanh">;           ///< Hyperbolic tangent
using SiLU = ActivationLayer<silu, "SiLU">;           ///< x * sigmoid(x)

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
