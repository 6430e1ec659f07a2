// Gradcheck must find a wrong gradient, and must not find one that is right.
#include "dnn/gradcheck.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/node.h"
#include "dnn/ops.h"
#include "tests/harness/errors.h"

namespace dnn {
namespace {

using Tensors = std::vector<Tensor>;

Tensor exact(std::initializer_list<double> values, const Shape& shape) {
  return tensor(values, shape, {.dtype = DType::float64}).set_requires_grad();
}

// x^2 whose gradient is multiplied by `error`.
Tensor square_with_error(const Tensor& x, double error) {
  Tensor y;
  {
    NoGrad no_grad;
    y = square(x);
  }
  detail::record("wrong", y, {x},
                 [kept = x.detach(), error](detail::Backward& b) { b.set(0, b.grad() * kept * (2 * error)); });
  return y;
}

TEST(Gradcheck, AcceptsARightGradient) {
  const auto result = gradcheck([](const Tensors& x) { return square_with_error(x[0], 1); }, {exact({1, 2, 3}, {3})});
  EXPECT_TRUE(result.ok) << result.message;
  EXPECT_EQ(result.checked, 3);
  EXPECT_EQ(result.skipped, 0);
  EXPECT_EQ(result.message, "");
  EXPECT_LT(result.worst, 1e-7);
}

TEST(Gradcheck, FindsAWrongGradient) {
  const auto result =
      gradcheck([](const Tensors& x) { return square_with_error(x[0], 1.001); }, {exact({1, 2, 3}, {3})});
  EXPECT_FALSE(result.ok);
  EXPECT_NE(result.message.find(" of input 0: analytic "), std::string::npos) << result.message;
  EXPECT_GT(result.worst, 1e-4);
}

TEST(Gradcheck, FindsAMissingGradient) {
  const auto result =
      gradcheck([](const Tensors& x) { return x[0] * x[1].detach(); }, {exact({1, 2}, {2}), exact({3, 4}, {2})});
  EXPECT_FALSE(result.ok);
  EXPECT_NE(result.message.find("of input 1"), std::string::npos) << result.message;
}

TEST(Gradcheck, FindsANaN) {
  // The value is 0 everywhere, the gradient 0 * inf.
  const auto result =
      gradcheck([](const Tensors& x) { return square_with_error(x[0], INFINITY); }, {exact({0, 1}, {2})});
  EXPECT_FALSE(result.ok);
}

TEST(Gradcheck, FindsAGradientThatIsWrongInOneElement) {
  const Tensor bad = tensor({1, 1, 1, 1.01}, {4}, {.dtype = DType::float64});
  const auto f = [&](const Tensors& x) {
    Tensor y;
    {
      NoGrad no_grad;
      y = x[0] * 2;
    }
    detail::record("wrong", y, {x[0]}, [&](detail::Backward& b) { b.set(0, b.grad() * bad * 2); });
    return y;
  };
  const auto result = gradcheck(f, {exact({1, 2, 3, 4}, {4})});
  EXPECT_FALSE(result.ok);
  EXPECT_NE(result.message.find("element 3 of input 0"), std::string::npos) << result.message;
}

TEST(Gradcheck, SkipsKinks) {
  const auto f = [](const Tensors& x) { return relu(x[0]); };
  const auto result = gradcheck(f, {exact({-1, 0, 1}, {3})});
  EXPECT_TRUE(result.ok) << result.message;
  EXPECT_EQ(result.checked, 2);
  EXPECT_EQ(result.skipped, 1);
  EXPECT_FALSE(gradcheck(f, {exact({-1, 0, 1}, {3})}, {.skip_kinks = false}).ok);
}

TEST(Gradcheck, SkipsKinksOfSmallSlopes) {
  const auto result =
      gradcheck([](const Tensors& x) { return relu(x[0]) * 1e-3; }, {exact({-1, 0, 1}, {3})}, {.atol = 1e-10});
  EXPECT_TRUE(result.ok) << result.message;
  EXPECT_EQ(result.skipped, 1);
}

TEST(Gradcheck, DrawsTheSameNumbersInEveryEvaluation) {
  manual_seed(5);
  const auto result = gradcheck([](const Tensors& x) { return dropout(x[0] * rand({20}, x[0].options())); },
                                {randn({20}, {.dtype = DType::float64, .requires_grad = true})});
  EXPECT_TRUE(result.ok) << result.message;
}

TEST(Gradcheck, LeavesTheInputsAlone) {
  const Tensor x = exact({1, 2}, {2});
  const uint64_t version = x.version();
  gradcheck([](const Tensors& inputs) { return square(inputs[0]); }, {x});
  EXPECT_FALSE(x.has_grad());
  EXPECT_EQ(x.version(), version);
  EXPECT_EQ(x.to_vector<double>(), (std::vector<double>{1, 2}));
}

TEST(Gradcheck, ChecksOnlyWhatRequiresAGradient) {
  const Tensor labels = tensor({1, 0}, {2}, {.dtype = DType::int64});
  const auto result = gradcheck([](const Tensors& x) { return cross_entropy(x[0], x[1]); },
                                {exact({1, 2, 3, 4, 5, 6}, {2, 3}), labels});
  EXPECT_TRUE(result.ok) << result.message;
  EXPECT_EQ(result.checked, 6);
}

TEST(Gradcheck, NeedsFloat64AndSomethingToCheck) {
  const auto f = [](const Tensors& x) { return x[0]; };
  EXPECT_ERROR(gradcheck(f, {tensor({1, 2}).set_requires_grad()}), DTypeError,
               "gradcheck: input 0 is float32, expected float64 (shape [2])");
  EXPECT_ERROR(gradcheck(f, {tensor({1}), tensor({2})}), ArgumentError,
               "gradcheck: none of 2 inputs requires a gradient");
}

}  // namespace
}  // namespace dnn
