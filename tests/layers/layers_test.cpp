// Every layer against the operation it stands for, the first weights, and what the constructors refuse.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

TEST(Layers, Linear) {
  check_layer(Linear(5, 3), {4, 5}, [](Linear& l, const Tensor& x) { return linear(x, l.weight, l.bias); });
  check_layer(Linear(5, 3, {.bias = false}), {4, 5}, [](Linear& l, const Tensor& x) { return linear(x, l.weight); });
}

TEST(Layers, Conv2d) {
  check_layer(Conv2d(2, 4, {.kernel = 3}), {2, 2, 5, 6},
              [](Conv2d& l, const Tensor& x) { return conv2d(x, l.weight, l.bias); });
  check_layer(
      Conv2d(4, 6, {.kernel = {3, 2}, .stride = 2, .padding = {1, 0}, .dilation = {1, 2}, .groups = 2, .bias = false}),
      {2, 4, 7, 6}, [](Conv2d& l, const Tensor& x) {
        return conv2d(x, l.weight, {}, {.stride = 2, .padding = Size2(1, 0), .dilation = Size2(1, 2), .groups = 2});
      });
}

template <class L>
Tensor normalized(L& l, const Tensor& x) {
  return batch_norm(x, l.weight, l.bias, l.running_mean, l.running_var, {.training = l.training()});
}

TEST(Layers, BatchNorm) {
  BatchNorm2d image(3);
  disturb(image);
  check_layer(std::move(image), {4, 3, 2, 5}, [](BatchNorm2d& l, const Tensor& x) { return normalized(l, x); });
  BatchNorm1d features(3);
  disturb(features);
  check_layer(std::move(features), {6, 3}, [](BatchNorm1d& l, const Tensor& x) { return normalized(l, x); });
  check_layer(BatchNorm1d(3), {2, 3, 5},
              [](BatchNorm1d& l, const Tensor& x) { return normalized(l, x.unsqueeze(3)).squeeze(3); });
  check_layer(BatchNorm2d(3, {.eps = 0.1, .momentum = 0.5}), {4, 3, 2, 5}, [](BatchNorm2d& l, const Tensor& x) {
    return batch_norm(x, l.weight, l.bias, l.running_mean, l.running_var,
                      {.training = l.training(), .momentum = 0.5, .eps = 0.1});
  });
}

TEST(Layers, BatchNormCountsBatchesInTraining) {
  BatchNorm2d norm(3);
  for (int i = 0; i < 3; ++i) norm(numbers({2, 3, 2, 2}));
  norm.eval();
  norm(numbers({2, 3, 2, 2}));
  EXPECT_EQ(norm.num_batches_tracked.dtype(), DType::int64);
  EXPECT_EQ(norm.num_batches_tracked.item(), 3);
}

TEST(Layers, BatchNormKeepsItsStatisticsWide) {
  BatchNorm2d norm(3);
  norm.to(DType::bfloat16);
  EXPECT_EQ(norm.weight.dtype(), DType::float32);
  EXPECT_EQ(norm.running_var.dtype(), DType::float32);
  EXPECT_EQ(norm(numbers({2, 3, 2, 2}).to(DType::bfloat16)).dtype(), DType::bfloat16);
  norm.to(DType::float64);
  EXPECT_EQ(norm.running_var.dtype(), DType::float64);
  EXPECT_EQ(norm.num_batches_tracked.dtype(), DType::int64);
}

TEST(Layers, BatchNorm1dTakesWhatFollowsForSequences) {
  BatchNorm1d norm(3);
  const Tensor x = numbers({2, 3, 4}), shortcut = x * 0.5;
  expect_near(norm(x, {.add = shortcut, .relu = true}), relu(norm(x) + shortcut), "fused");
}

TEST(Layers, FusedCallsAreTheirParts) {
  Linear dense(5, 3);
  const Tensor x = numbers({4, 5}), add = numbers({4, 3});
  expect_near(dense(x, {.add = add, .relu = true}), relu(dense(x) + add), "Linear");
  Conv2d conv(2, 4, {.kernel = 3, .padding = 1});
  const Tensor image = numbers({2, 2, 5, 6}), other = numbers({2, 4, 5, 6});
  expect_near(conv(image, {.add = other, .relu = true}), relu(conv(image) + other), "Conv2d");
  expect_near(conv(image, {.relu = true}), relu(conv(image)), "Conv2d with ReLU");
  BatchNorm2d norm(2);
  expect_near(norm(image, {.add = image, .relu = true}), relu(norm(image) + image), "BatchNorm2d");
}

TEST(Layers, Activations) {
  check_layer(ReLU(), {3, 4}, [](ReLU&, const Tensor& x) { return relu(x); });
  check_layer(Sigmoid(), {3, 4}, [](Sigmoid&, const Tensor& x) { return sigmoid(x); });
  check_layer(Tanh(), {3, 4}, [](Tanh&, const Tensor& x) { return tanh(x); });
  check_layer(ReLU6(), {3, 4}, [](ReLU6&, const Tensor& x) { return relu6(x); });
  check_layer(SELU(), {3, 4}, [](SELU&, const Tensor& x) { return selu(x); });
  check_layer(LogSigmoid(), {3, 4}, [](LogSigmoid&, const Tensor& x) { return logsigmoid(x); });
  check_layer(Hardsigmoid(), {3, 4}, [](Hardsigmoid&, const Tensor& x) { return hardsigmoid(x); });
  check_layer(SiLU(), {3, 4}, [](SiLU&, const Tensor& x) { return silu(x); });
  check_layer(Hardswish(), {3, 4}, [](Hardswish&, const Tensor& x) { return hardswish(x); });
  check_layer(Mish(), {3, 4}, [](Mish&, const Tensor& x) { return mish(x); });
  check_layer(LeakyReLU(0.1), {3, 4}, [](LeakyReLU&, const Tensor& x) { return leaky_relu(x, 0.1); });
  check_layer(ELU(1.5), {3, 4}, [](ELU&, const Tensor& x) { return elu(x, 1.5); });
  check_layer(GELU(), {3, 4}, [](GELU&, const Tensor& x) { return gelu(x); });
  check_layer(GELU(GeluForm::tanh), {3, 4}, [](GELU&, const Tensor& x) { return gelu(x, GeluForm::tanh); });
  check_layer(Softplus({.beta = 2}), {3, 4}, [](Softplus&, const Tensor& x) { return softplus(x, {.beta = 2}); });
  check_layer(PReLU(), {3, 4}, [](PReLU& l, const Tensor& x) { return prelu(x, l.weight); });
  check_layer(PReLU(4, {.init = 0.1}), {3, 4, 2}, [](PReLU& l, const Tensor& x) { return prelu(x, l.weight); });
  check_layer(ScaledTanh(), {3, 4}, [](ScaledTanh&, const Tensor& x) { return tanh(x * (2.0 / 3)) * 1.7159; });
  check_layer(ScaledTanh({.output = 3, .input = 0.5}), {3, 4},
              [](ScaledTanh&, const Tensor& x) { return tanh(x * 0.5) * 3; });
  expect_near(ScaledTanh()(from_values<float>({-1, 0, 1}, {3})), from_values<float>({-1, 0, 1}, {3}), "fixed points",
              1e-4);
  check_layer(Softmax(), {3, 4}, [](Softmax&, const Tensor& x) { return softmax(x); });
  check_layer(Softmax(0), {3, 4}, [](Softmax&, const Tensor& x) { return softmax(x, 0); });
}

TEST(Layers, Pooling) {
  check_layer(MaxPool2d({.kernel = 2}), {2, 3, 6, 4},
              [](MaxPool2d&, const Tensor& x) { return max_pool2d(x, {.kernel = 2}); });
  check_layer(MaxPool2d({.kernel = 3, .stride = 2, .padding = 1}), {2, 3, 6, 5},
              [](MaxPool2d&, const Tensor& x) { return max_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1}); });
  check_layer(AvgPool2d({.kernel = 2}), {2, 3, 6, 4},
              [](AvgPool2d&, const Tensor& x) { return avg_pool2d(x, {.kernel = 2}); });
}

TEST(Layers, Dropout) {
  check_layer(Dropout(0.3), {8, 8},
              [](Dropout& l, const Tensor& x) { return dropout(x, {.p = 0.3, .training = l.training()}); });
}

TEST(Layers, Flatten) {
  check_layer(Flatten(), {2, 3, 4, 5}, [](Flatten&, const Tensor& x) { return x.reshape({2, 60}); });
  check_layer(Flatten(0, 1), {2, 3, 4}, [](Flatten&, const Tensor& x) { return x.reshape({6, 4}); });
}

TEST(Layers, DescribeThemselves) {
  EXPECT_EQ(ScaledTanh().str(), "ScaledTanh(output=1.7159, input=0.6667)");
  EXPECT_EQ(Linear(5, 3).str(), "Linear(5, 3)");
  EXPECT_EQ(Linear(5, 3, {.bias = false}).str(), "Linear(5, 3, bias=false)");
  EXPECT_EQ(Conv2d(3, 8, {.kernel = 3}).str(), "Conv2d(3, 8, kernel=3)");
  EXPECT_EQ(
      Conv2d(4, 8, {.kernel = {3, 5}, .stride = 2, .padding = {1, 2}, .dilation = 2, .groups = 4, .bias = false}).str(),
      "Conv2d(4, 8, kernel=3x5, stride=2, padding=1x2, dilation=2, groups=4, bias=false)");
  EXPECT_EQ(LeakyReLU().str(), "LeakyReLU(slope=0.01)");
  EXPECT_EQ(ELU(1.5).str(), "ELU(alpha=1.5)");
  EXPECT_EQ(GELU().str(), "GELU()");
  EXPECT_EQ(GELU(GeluForm::tanh).str(), "GELU(form=tanh)");
  EXPECT_EQ(Softplus({.beta = 2}).str(), "Softplus(beta=2, threshold=20)");
  EXPECT_EQ(PReLU(3).str(), "PReLU(3)");
  EXPECT_ERROR(PReLU(0), ArgumentError, "PReLU: 0 weights, expected at least 1");
  EXPECT_EQ(BatchNorm2d(8).str(), "BatchNorm2d(8)");
  EXPECT_EQ(BatchNorm1d(8, {.eps = 0.001, .momentum = 0.2}).str(), "BatchNorm1d(8, eps=0.001, momentum=0.2)");
  EXPECT_EQ(ReLU().str(), "ReLU()");
  EXPECT_EQ(Tanh().str(), "Tanh()");
  EXPECT_EQ(Softmax(1).str(), "Softmax(dim=1)");
  EXPECT_EQ(MaxPool2d({.kernel = 3, .stride = 2, .padding = 1}).str(), "MaxPool2d(kernel=3, stride=2, padding=1)");
  EXPECT_EQ(AvgPool2d({.kernel = 2, .count_include_pad = false}).str(), "AvgPool2d(kernel=2, count_include_pad=false)");
  EXPECT_EQ(Dropout(0.2).str(), "Dropout(p=0.2)");
  EXPECT_EQ(Flatten().str(), "Flatten()");
}

TEST(Layers, RefuseBadOptions) {
  EXPECT_ERROR(Linear(0, 3), ArgumentError, "Linear: in is 0 and out is 3, expected both at least 1");
  EXPECT_ERROR(Conv2d(3, -1, {.kernel = 3}), ArgumentError, "Conv2d: in is 3 and out is -1, expected both at least 1");
  EXPECT_ERROR(Conv2d(3, 8, {}), ArgumentError, "Conv2d: kernel is 0, expected at least 1");
  EXPECT_ERROR(Conv2d(3, 8, {.kernel = 3, .stride = {1, 0}}), ArgumentError,
               "Conv2d: stride is 1x0, expected at least 1");
  EXPECT_ERROR(Conv2d(3, 8, {.kernel = 3, .padding = -1}), ArgumentError, "Conv2d: padding is -1, expected at least 0");
  EXPECT_ERROR(Conv2d(3, 8, {.kernel = 3, .dilation = 0}), ArgumentError, "Conv2d: dilation is 0, expected at least 1");
  EXPECT_ERROR(Conv2d(3, 8, {.kernel = 3, .groups = 2}), ArgumentError,
               "Conv2d: groups is 2, expected a divisor of both channel counts (in 3, out 8)");
  EXPECT_ERROR(BatchNorm2d(0), ArgumentError, "BatchNorm2d: channels is 0, expected at least 1");
  EXPECT_ERROR(BatchNorm2d(3, {.eps = 0}), ArgumentError, "BatchNorm2d: eps is 0, expected a positive number");
  EXPECT_ERROR(BatchNorm1d(3, {.momentum = 1.5}), ArgumentError,
               "BatchNorm1d: momentum is 1.5, expected a number in [0, 1]");
  EXPECT_ERROR(Dropout(1.5), ArgumentError, "Dropout: p is 1.5, expected a probability in [0, 1]");
}

TEST(Layers, RefuseBadInputs) {
  EXPECT_ERROR(BatchNorm2d(3)(numbers({2, 3})), ShapeError,
               "BatchNorm2d: input has 2 dimensions, expected 4, [n, c, h, w] (input [2, 3])");
  EXPECT_ERROR(BatchNorm1d(3)(numbers({2, 3, 4, 5})), ShapeError,
               "BatchNorm1d: input has 4 dimensions, expected 2 or 3, [n, c] or [n, c, length] (input [2, 3, 4, 5])");
}

// ---- first weights -------------------------------------------------------------------------------------------------

// Checks that numbers fill [-bound, bound] evenly.
void expect_uniform(const Tensor& t, double bound) {
  const std::vector<double> list = values(t);
  double sum = 0, squares = 0;
  for (const double x : list) {
    ASSERT_LE(std::abs(x), bound * 1.000001);
    sum += x, squares += x * x;
  }
  const double n = static_cast<double>(list.size());
  EXPECT_NEAR(sum / n, 0, 4 * bound / std::sqrt(3 * n));
  EXPECT_NEAR(squares / n, bound * bound / 3, 4 * bound * bound * std::sqrt(4.0 / 45 / n));
}

void expect_normal(const Tensor& t, double deviation) {
  const std::vector<double> list = values(t);
  double sum = 0, squares = 0;
  for (const double x : list) sum += x, squares += x * x;
  const double n = static_cast<double>(list.size());
  EXPECT_NEAR(sum / n, 0, 4 * deviation / std::sqrt(n));
  EXPECT_NEAR(squares / n, deviation * deviation, 4 * deviation * deviation * std::sqrt(2 / n));
}

TEST(Init, LayersStartAsInPyTorch) {
  manual_seed(3);
  const Linear dense(400, 120);
  expect_uniform(dense.weight, 1 / std::sqrt(400.0));
  expect_uniform(dense.bias, 1 / std::sqrt(400.0));
  const Conv2d conv(8, 32, {.kernel = 5, .groups = 2});
  expect_uniform(conv.weight, 1 / std::sqrt(4 * 25.0));
  expect_uniform(conv.bias, 1 / std::sqrt(4 * 25.0));
  const BatchNorm2d norm(2);
  EXPECT_EQ(values(norm.weight), std::vector<double>({1, 1}));
  EXPECT_EQ(values(norm.bias), std::vector<double>({0, 0}));
  EXPECT_EQ(values(norm.running_mean), std::vector<double>({0, 0}));
  EXPECT_EQ(values(norm.running_var), std::vector<double>({1, 1}));
}

TEST(Init, Distributions) {
  manual_seed(4);
  const Tensor weight = empty({64, 32, 3, 3});
  uniform_(weight, -0.25, 0.25);
  expect_uniform(weight, 0.25);
  normal_(weight, 0, 0.02);
  expect_normal(weight, 0.02);
  kaiming_uniform_(weight);
  expect_uniform(weight, std::sqrt(6 / (32 * 9.0)));
  kaiming_uniform_(weight, {.a = 0.5, .mode = Fan::out});
  expect_uniform(weight, std::sqrt(6 / (1.25 * 64 * 9)));
  kaiming_normal_(weight, {.mode = Fan::out});
  expect_normal(weight, std::sqrt(2 / (64 * 9.0)));
  xavier_uniform_(weight, 2);
  expect_uniform(weight, 2 * std::sqrt(6 / (96 * 9.0)));
  xavier_normal_(weight);
  expect_normal(weight, std::sqrt(2 / (96 * 9.0)));
  const Tensor wide = empty({100}, {.dtype = DType::float64});
  uniform_(wide, 3, 4);
  EXPECT_TRUE(std::ranges::all_of(values(wide), [](double x) { return x >= 3 && x < 4; }));
}

TEST(Init, OneSeedGivesOneNet) {
  manual_seed(5);
  const Linear a(10, 10);
  manual_seed(5);
  const Linear b(10, 10);
  const Linear c(10, 10);
  expect_same(a.weight, b.weight, "weight");
  expect_same(a.bias, b.bias, "bias");
  EXPECT_NE(values(b.weight), values(c.weight));
}

TEST(Init, RefusesBadTensors) {
  const Tensor flat = empty({3});
  EXPECT_ERROR(kaiming_uniform_(flat), ShapeError,
               "kaiming_uniform_: the tensor has 1 dimensions, expected at least 2 (shape [3])");
  EXPECT_ERROR(kaiming_normal_(flat), ShapeError,
               "kaiming_normal_: the tensor has 1 dimensions, expected at least 2 (shape [3])");
  EXPECT_ERROR(xavier_uniform_(flat), ShapeError,
               "xavier_uniform_: the tensor has 1 dimensions, expected at least 2 (shape [3])");
  EXPECT_ERROR(xavier_normal_(flat), ShapeError,
               "xavier_normal_: the tensor has 1 dimensions, expected at least 2 (shape [3])");
  EXPECT_ERROR(uniform_(empty({3}, {.dtype = DType::int64})), DTypeError,
               "uniform_: the tensor is int64, expected a floating type (shape [3])");
  EXPECT_ERROR(normal_(empty({3}, {.dtype = DType::uint8})), DTypeError,
               "normal_: the tensor is uint8, expected a floating type (shape [3])");
}

}  // namespace
}  // namespace dnn::test
