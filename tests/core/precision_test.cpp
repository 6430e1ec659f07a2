// The switches for TF32, for the algorithm of Winograd and for sums in any order.
#include "dnn/precision.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>

#include "dnn/autograd.h"
#include "dnn/ops.h"

namespace dnn {
namespace {

// Restores the default.
struct Winograd {
  explicit Winograd(bool allowed) { allow_winograd(allowed); }
  ~Winograd() { allow_winograd(true); }
};

// Result and both gradients of a convolution with filters of 3x3, computed in that type.
std::array<Tensor, 3> convolve(const Tensor& x, const Tensor& weight, const Tensor& grad, DType dtype) {
  const Tensor input = x.to(dtype).clone(), filters = weight.to(dtype).clone();
  for (Tensor t : {input, filters}) t.set_requires_grad();
  const Tensor y = conv2d(input, filters, {}, {.padding = 1});
  y.backward(grad.to(dtype));
  return {y.detach(), input.grad(), filters.grad()};
}

// The largest error over the largest value.
double error_of(const Tensor& computed, const Tensor& exact) {
  return max(abs(computed.to(DType::float64) - exact)).item() / max(abs(exact)).item();
}

TEST(Precision, Tf32IsPyTorchsUntilChosenOtherwise) {
  EXPECT_EQ(tf32_allowed(), (Tf32{.convolution = true, .product = false}));
  allow_tf32({.convolution = false, .product = true});
  EXPECT_EQ(tf32_allowed(), (Tf32{.convolution = false, .product = true}));
  allow_tf32({});
}

TEST(Precision, WinogradIsAllowedUntilChosenOtherwise) {
  EXPECT_TRUE(winograd_allowed());
  const Winograd off(false);
  EXPECT_FALSE(winograd_allowed());
}

TEST(Precision, SumsAreInOneOrderUntilChosenOtherwise) {
  EXPECT_FALSE(nondeterminism_allowed());
  allow_nondeterminism(true);
  EXPECT_TRUE(nondeterminism_allowed());
  allow_nondeterminism(false);
}

TEST(Precision, WinogradLosesLessThanADigit) {
  manual_seed(1);
  for (const auto& [n, c, k, size] : {std::array<int64_t, 4>{4, 32, 48, 15}, {3, 64, 32, 16}, {16, 32, 32, 7}}) {
    const Tensor x = randn({n, c, size, size}), weight = randn({k, c, 3, 3}), grad = randn({n, k, size, size});
    const auto exact = convolve(x, weight, grad, DType::float64);
    std::array<Tensor, 3> direct;
    {
      const Winograd off(false);
      direct = convolve(x, weight, grad, DType::float32);
    }
    const auto fast = convolve(x, weight, grad, DType::float32);
    for (size_t i = 0; i < exact.size(); ++i) {
      SCOPED_TRACE(x.shape().str() + ", result " + std::to_string(i));
      EXPECT_LT(error_of(direct[i], exact[i]), 2e-6);
      EXPECT_LT(error_of(fast[i], exact[i]), 5e-6);
    }
  }
}

// Fused and accumulated forms of problems that are large enough for it.
TEST(Precision, WinogradAddsWhatIsAskedFor) {
  const Tensor x = randn({4, 32, 14, 14}), weight = randn({32, 32, 3, 3}), bias = randn({32});
  const Tensor plain = conv2d(x, weight, {}, {.padding = 1});
  const Tensor expected = relu(plain + bias.reshape({1, 32, 1, 1}) + x);
  const Tensor y = conv2d(x, weight, bias, {.padding = 1, .activation = Activation::relu, .add = x});
  EXPECT_LT(max(abs(y - expected)).item(), 1e-3);
  Tensor input = x.clone(), filters = weight.clone();
  for (Tensor* t : {&input, &filters}) t->set_requires_grad();
  const auto step = [&] { (conv2d(input, filters, {}, {.padding = 1}) * plain).sum().backward(); };
  step();
  const Tensor once_x = input.grad().clone(), once_w = filters.grad().clone();
  step();
  EXPECT_LT(max(abs(input.grad() - once_x * 2)).item(), 1e-5 * max(abs(once_x)).item());
  EXPECT_LT(max(abs(filters.grad() - once_w * 2)).item(), 1e-5 * max(abs(once_w)).item());
}

TEST(Precision, WinogradKeepsNaN) {
  Tensor x = zeros({4, 32, 16, 16});
  x.data<float>()[0] = NAN;
  const Tensor y = conv2d(x, ones({32, 32, 3, 3}), {}, {.padding = 1, .activation = Activation::relu});
  EXPECT_TRUE(std::isnan(y.to_vector<float>()[0]));
  EXPECT_EQ(y.to_vector<float>().back(), 0);
}

}  // namespace
}  // namespace dnn
