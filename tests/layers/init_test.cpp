// The initialisers beside the uniform and normal ones of layers_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

TEST(Init, Gains) {
  EXPECT_EQ(calculate_gain(Nonlinearity::linear), 1);
  EXPECT_EQ(calculate_gain(Nonlinearity::sigmoid), 1);
  EXPECT_DOUBLE_EQ(calculate_gain(Nonlinearity::tanh), 5.0 / 3);
  EXPECT_DOUBLE_EQ(calculate_gain(Nonlinearity::relu), std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(calculate_gain(Nonlinearity::leaky_relu), std::sqrt(2 / (1 + 0.01 * 0.01)));
  EXPECT_DOUBLE_EQ(calculate_gain(Nonlinearity::leaky_relu, 0.5), std::sqrt(1.6));
  EXPECT_EQ(calculate_gain(Nonlinearity::selu), 0.75);
  EXPECT_ERROR(calculate_gain(static_cast<Nonlinearity>(77)), ArgumentError,
               "calculate_gain: there is no nonlinearity 77");
}

TEST(Init, KaimingScalesByTheNonlinearity) {
  const Tensor relu_weight = empty({8, 6}), tanh_weight = empty({8, 6});
  manual_seed(1);
  kaiming_normal_(relu_weight);
  manual_seed(1);
  kaiming_normal_(tanh_weight, {.nonlinearity = Nonlinearity::tanh});
  expect_near(tanh_weight, relu_weight * (5 / 3.0 / std::sqrt(2.0)), "tanh");
}

TEST(Init, CanBeLeftOut) {
  manual_seed(3);
  const Tensor first = randn({2});
  manual_seed(3);
  {
    NoInit no_init;
    { NoInit inner; }
    Linear linear(4, 3);
    EXPECT_EQ(values(linear.weight), std::vector<double>(12, 0));
    EXPECT_TRUE(linear.weight.requires_grad());
    for (void (*initialise)(const Tensor&) :
         {+[](const Tensor& t) { normal_(t); }, +[](const Tensor& t) { trunc_normal_(t); },
          +[](const Tensor& t) { orthogonal_(t); }, +[](const Tensor& t) { xavier_uniform_(t); }}) {
      const Tensor t = ones({2, 3});
      initialise(t);
      EXPECT_EQ(values(t), std::vector<double>(6, 0));
    }
    EXPECT_EQ(values(BatchNorm2d(2).weight), std::vector<double>(2, 1)) << "what is not random stays";
    EXPECT_ERROR(uniform_(ones({2}, {.dtype = DType::int64})), DTypeError,
                 "uniform_: the tensor is int64, expected a floating type (shape [2])");
  }
  expect_same(randn({2}), first, "nothing was drawn");
  EXPECT_NE(values(Linear(4, 3).weight), std::vector<double>(12, 0));
}

TEST(Init, Constants) {
  const Tensor t = empty({2, 3}), whole = empty({2}, {.dtype = DType::int64});
  constant_(t, 2.5);
  EXPECT_EQ(values(t), std::vector<double>(6, 2.5));
  ones_(t);
  EXPECT_EQ(values(t), std::vector<double>(6, 1));
  zeros_(t);
  EXPECT_EQ(values(t), std::vector<double>(6, 0));
  constant_(whole, 3);
  EXPECT_EQ(values(whole), std::vector<double>(2, 3));
  Linear layer(2, 2);
  zeros_(layer.weight);
  EXPECT_TRUE(layer.weight.requires_grad());
}

TEST(Init, TruncatedNormalStaysInside) {
  manual_seed(2);
  const Tensor t = empty({20000});
  trunc_normal_(t, 0.5, 1, -1, 2);
  const std::vector<double> list = values(t);
  const auto [least, most] = std::ranges::minmax(list);
  EXPECT_GE(least, -1);
  EXPECT_LE(most, 2);
  double sum = 0, squares = 0;
  for (const double x : list) sum += x, squares += (x - 0.5) * (x - 0.5);
  // Symmetric around the mean, cut at 1.5 deviations: variance 1 - 2 * 1.5 phi(1.5) / (2 Phi(1.5) - 1).
  EXPECT_NEAR(sum / 20000, 0.5, 0.02);
  EXPECT_NEAR(squares / 20000, 0.5519, 0.02);
  trunc_normal_(t, 0, 0.02);  // hardly cut
  const std::vector<double> narrow = values(t);
  double variance = 0;
  for (const double x : narrow) variance += x * x / 20000;
  EXPECT_NEAR(variance, 0.0004, 0.00002);
  trunc_normal_(t, 0, 1, 6, 7);  // far out
  EXPECT_TRUE(std::ranges::all_of(values(t), [](double x) { return x >= 6 && x <= 7; }));
}

// The products of all rows with each other.
void expect_orthonormal_rows(const Tensor& matrix, double gain) {
  const Tensor products = matmul(matrix, matrix.t());
  for (int64_t i = 0; i < products.size(0); ++i)
    for (int64_t j = 0; j < products.size(0); ++j)
      EXPECT_NEAR(products[i][j].item(), i == j ? gain * gain : 0, 1e-5 * gain * gain) << i << ", " << j;
}

TEST(Init, Orthogonal) {
  manual_seed(3);
  const Tensor wide = empty({4, 9}), tall = empty({9, 4}), filters = empty({4, 2, 3, 3});
  orthogonal_(wide), orthogonal_(tall, 2), orthogonal_(filters);
  expect_orthonormal_rows(wide, 1);
  expect_orthonormal_rows(tall.t(), 2);
  expect_orthonormal_rows(filters.reshape({4, 18}), 1);
  orthogonal_(empty({0, 3}));
}

TEST(Init, DiracHandsTheInputOn) {
  const Tensor weight = empty({3, 3, 3, 5}), x = numbers({2, 3, 6, 7});
  dirac_(weight);
  expect_near(conv2d(x, weight, {}, {.padding = {1, 2}}), x, "identity");
  const Tensor grouped = empty({4, 2, 3, 3}), y = numbers({2, 4, 5, 5});
  dirac_(grouped, 2);
  expect_near(conv2d(y, grouped, {}, {.padding = 1, .groups = 2}), y, "in groups");
}

TEST(Init, RefusesMoreBadArguments) {
  EXPECT_ERROR(orthogonal_(empty({3})), ShapeError,
               "orthogonal_: the tensor has 1 dimensions, expected at least 2 (shape [3])");
  EXPECT_ERROR(orthogonal_(empty({3, 3}, {.dtype = DType::int64})), DTypeError,
               "orthogonal_: the tensor is int64, expected a floating type (shape [3, 3])");
  EXPECT_ERROR(dirac_(empty({3, 3})), ShapeError,
               "dirac_: the tensor has 2 dimensions, expected 3 to 5 (shape [3, 3])");
  EXPECT_ERROR(dirac_(empty({3, 3, 3}), 2), ArgumentError,
               "dirac_: groups is 2, expected a divisor of size 0 (shape [3, 3, 3])");
  EXPECT_ERROR(
      trunc_normal_(empty({3}), 0, 1, 2, 2), ArgumentError,
      "trunc_normal_: the bounds are 2 and 2 and the deviation 1, expected low < high and a positive deviation");
}

}  // namespace
}  // namespace dnn::test
