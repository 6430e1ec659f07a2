// One line tests a layer: what it computes is given as operations, everything else that a layer must do is the same for
// all.
//
//   check_layer(Linear(4, 3), {2, 4}, [](Linear& l, const Tensor& x) { return linear(x, l.weight, l.bias); });
//
// Checked are the output and all gradients in training and in evaluation, the state dict's way to another instance,
// that a clone shares nothing, that a moved layer is the same one, the mode, the conversion to float64, and the name.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "dnn/autograd.h"
#include "dnn/layers.h"
#include "dnn/ops.h"

namespace dnn::test {

// The elements as doubles, whatever the type.
inline std::vector<double> values(const Tensor& t) { return t.detach().to(DType::float64).to_vector<double>(); }

// Equal to the last bit.
inline void expect_same(const Tensor& actual, const Tensor& expected, const std::string& what) {
  ASSERT_EQ(actual.defined(), expected.defined()) << what;
  if (!actual.defined()) return;
  ASSERT_EQ(actual.shape(), expected.shape()) << what;
  EXPECT_EQ(values(actual), values(expected)) << what;
}

// Equal up to rounding.
inline void expect_near(const Tensor& actual, const Tensor& expected, const std::string& what,
                        double tolerance = 1e-5) {
  ASSERT_EQ(actual.shape(), expected.shape()) << what;
  const std::vector<double> a = values(actual), b = values(expected);
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance * (1 + std::abs(b[i]))) << what << " " << i;
}

// Numbers that depend on their place alone, drawn from no generator.
inline Tensor numbers(const Shape& shape) {
  std::vector<float> list(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < list.size(); ++i) list[i] = static_cast<float>((i * 7919 + 13) % 101) / 25.0f - 2.0f;
  return from_values(list, shape);
}

// Gives every parameter and buffer other elements.
inline void disturb(Module& module) {
  NoGrad no_grad;
  for (auto [name, tensor] : module.state_dict()) tensor.copy_(tensor * 0.5 + 1);
}

// The output of a computation and the gradients of sum(output * r) of the input and the parameters, in this order.
template <class Compute>
std::vector<Tensor> run(Module& module, const Tensor& input, Compute&& compute) {
  module.zero_grad();
  manual_seed(7);
  Tensor x = input.clone();
  x.set_requires_grad(true);
  const Tensor y = compute(x);
  (y * numbers(y.shape())).sum().backward();
  std::vector<Tensor> results;
  results.push_back(y);
  results.push_back(x.grad());
  for (const Tensor& parameter : module.parameters()) results.push_back(parameter.grad().clone());
  return results;
}

// The one tensor of a layer's output, also where its own call operator gives more.
inline Tensor as_layer(Layer& layer, const Tensor& x) { return layer(x); }

template <class L, class Operation>
void check_layer(L layer, const Shape& shape, Operation&& operation) {
  SCOPED_TRACE(layer.type_name());
  const Tensor input = numbers(shape);
  if (layer.children().empty()) {
    EXPECT_EQ(layer.str(), layer.type_name() + "(" + layer.describe() + ")");
  }

  for (const bool training : {true, false}) {
    SCOPED_TRACE(training ? "training" : "evaluation");
    L reference = layer.clone();
    L actual = layer.clone();
    reference.train(training), actual.train(training);
    EXPECT_EQ(actual.training(), training);
    const auto expected = run(reference, input, [&](const Tensor& x) { return operation(reference, x); });
    const auto results = run(actual, input, [&](const Tensor& x) { return as_layer(actual, x); });
    ASSERT_EQ(results.size(), 2 + layer.parameters().size());
    ASSERT_EQ(results.size(), expected.size());
    for (size_t i = 0; i < results.size(); ++i) {
      ASSERT_TRUE(results[i].defined()) << "gradient " << i << " did not arrive";
      expect_same(results[i], expected[i], "result " + std::to_string(i));
    }
  }

  // Everything below is compared by what the layer computes in evaluation.
  layer.eval();
  NoGrad no_grad;
  const Tensor before = as_layer(layer, input);
  L other = layer.clone();
  EXPECT_FALSE(other.training()) << "a clone keeps the mode";
  const StateDict mine = layer.state_dict(), theirs = other.state_dict();
  ASSERT_EQ(mine.size(), theirs.size());
  for (const auto& [name, tensor] : mine) {
    expect_same(theirs.at(name), tensor, name);
    EXPECT_EQ(tensor.requires_grad(), false) << name;
  }
  disturb(other);
  expect_same(as_layer(layer, input), before, "a clone that changes leaves the original alone");
  if (!mine.empty()) {
    EXPECT_NE(values(as_layer(other, input)), values(before));
  }
  other.load_state_dict(mine);
  expect_same(as_layer(other, input), before, "the state dict carries everything over");

  const std::vector<Tensor> handles = layer.parameters();
  L moved = std::move(layer);
  expect_same(as_layer(moved, input), before, "moving changes nothing");
  const std::vector<Tensor> after = moved.parameters();
  ASSERT_EQ(after.size(), handles.size());
  for (size_t i = 0; i < handles.size(); ++i) EXPECT_TRUE(after[i].is_same(handles[i])) << "moving keeps the tensors";

  moved.to(DType::float64);
  expect_near(as_layer(moved, input.to(DType::float64)), before, "in float64");
  for (size_t i = 0; i < handles.size(); ++i) EXPECT_EQ(handles[i].dtype(), DType::float64);
}

}  // namespace dnn::test
