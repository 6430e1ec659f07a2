// Numbers at the edges: NaN, infinities, overflow, ties. PyTorch's rules, on the device of the table.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "tests/harness/compare.h"
#include "tests/harness/op_row.h"
#include "tests/harness/tensors.h"

namespace dnn::test {
namespace {

constexpr double inf = INFINITY;
const double nan = std::nan("");

Device device() { return table_devices().front(); }

// The types in which each rule must hold.
class Special : public ::testing::TestWithParam<DType> {
 protected:
  Tensor make(std::vector<double> values) const {
    const auto size = static_cast<int64_t>(values.size());
    return make(Shape{size}, std::move(values));
  }
  Tensor make(const Shape& shape, std::vector<double> values) const {
    return to_tensor(Array(shape, std::move(values)), {.dtype = GetParam(), .device = device()});
  }
  void expect(const Tensor& actual, std::vector<double> values) const {
    EXPECT_TRUE(close(to_array(actual), Array(actual.shape(), std::move(values)), 2 * epsilon(GetParam())));
  }
  void expect_gradient(const Tensor& x, const Tensor& y, std::vector<double> values) const {
    y.backward(ones_like(y));
    expect(x.grad(), std::move(values));
  }
};

TEST_P(Special, UnaryOperations) {
  const Tensor x = make({nan, inf, -inf, 0, -0.0});
  expect(relu(x), {nan, inf, 0, 0, 0});
  expect(abs(x), {nan, inf, inf, 0, 0});
  expect(neg(x), {nan, -inf, inf, 0, 0});
  expect(square(x), {nan, inf, inf, 0, 0});
  expect(exp(x), {nan, inf, 0, 1, 1});
  expect(log(x), {nan, inf, nan, -inf, -inf});
  expect(sqrt(x), {nan, inf, nan, 0, 0});
  expect(sigmoid(x), {nan, 1, 0, 0.5, 0.5});
  expect(tanh(x), {nan, 1, -1, 0, 0});
}

TEST_P(Special, HugeArguments) {
  const Tensor x = make({60000, -60000, 100, -100});
  const Array y = to_array(exp(x));
  EXPECT_EQ(y[0], inf);
  EXPECT_EQ(y[1], 0);
  EXPECT_EQ(std::isfinite(y[2]), GetParam() == DType::float64);
  expect(sigmoid(x), {1, 0, 1, round_to(std::exp(-100), GetParam())});
  expect(tanh(x), {1, -1, 1, -1});
}

TEST_P(Special, UnaryGradients) {
  const auto gradient = [&](Tensor (*f)(const Tensor&), std::vector<double> at, std::vector<double> expected) {
    const Tensor x = make(std::move(at)).set_requires_grad();
    expect_gradient(x, f(x), std::move(expected));
  };
  gradient(relu, {0, -0.0, inf, -inf}, {0, 0, 1, 0});
  gradient(abs, {0, -0.0, inf, -inf}, {0, 0, 1, -1});
  gradient(sqrt, {0, inf}, {inf, 0});
  gradient(log, {0, inf}, {inf, 0});
  gradient(exp, {-inf, 0}, {0, 1});
  gradient(sigmoid, {inf, -inf, 0}, {0, 0, 0.25});
  gradient(tanh, {inf, -inf, 0}, {0, 0, 1});
}

TEST_P(Special, BinaryOperations) {
  const Tensor x = make({nan, inf, -inf, 0, 1}), zero = make({0, 0, 0, 0, 0}),
               infinite = make({inf, inf, inf, inf, inf});
  expect(x + infinite, {nan, inf, nan, inf, inf});
  expect(x - infinite, {nan, nan, -inf, -inf, -inf});
  expect(x * zero, {nan, nan, nan, 0, 0});
  expect(x / zero, {nan, inf, -inf, nan, inf});
  expect(x / infinite, {nan, nan, nan, 0, 0});
  expect(x * 0, {nan, nan, nan, 0, 0});
  expect(x / 0, {nan, inf, -inf, nan, inf});
  expect(1 / x, {nan, 0, 0, inf, 1});
  expect(x + inf, {nan, inf, nan, inf, inf});
}

TEST_P(Special, DivisionByANumberIsADivision) {
  // 49 * (1 / 49) is not 1 in every format.
  std::vector<double> numbers;
  for (int i = 1; i < 200; ++i) numbers.push_back(i);
  for (double& n : numbers) {
    const double quotient = to_array(make({n}) / n)[0];
    EXPECT_EQ(quotient, 1) << n;
  }
}

TEST_P(Special, ElementaryFunctions) {
  const Tensor x = make({nan, inf, -inf, 0, -0.0});
  expect(log1p(x), {nan, inf, nan, 0, 0});
  expect(log1p(make({-1, -2})), {-inf, nan});
  expect(expm1(x), {nan, inf, -1, 0, 0});
  expect(expm1(make({100, -100})), {to_array(exp(make({100})))[0], -1});
  expect(rsqrt(x), {nan, 0, nan, inf, -inf});
  expect(reciprocal(x), {nan, 0, 0, inf, -inf});
  expect(sin(x), {nan, nan, nan, 0, 0});
  expect(cos(x), {nan, nan, nan, 1, 1});
  expect(erf(x), {nan, 1, -1, 0, 0});
  expect(sign(x), {0, 1, -1, 0, 0});
  expect(floor(x), {nan, inf, -inf, 0, 0});
  expect(ceil(make({-0.5, 0.5, inf})), {0, 1, inf});
  expect(round(make({0.5, 1.5, 2.5, -0.5, -1.5, nan, inf})), {0, 2, 2, 0, -2, nan, inf});
  // The largest numbers with a half.
  expect(round(make({3.5, 4.5, 63.5, 64.5})), {4, 4, 64, 64});
}

TEST_P(Special, Activations) {
  const Tensor x = make({nan, inf, -inf, 0, -0.0});
  expect(relu6(x), {nan, 6, 0, 0, 0});
  expect(leaky_relu(x), {nan, inf, -inf, 0, 0});
  expect(elu(x), {nan, inf, -1, 0, 0});
  expect(logsigmoid(x), {nan, 0, -inf, round_to(-std::log(2), GetParam()), round_to(-std::log(2), GetParam())});
  expect(softplus(x), {nan, inf, 0, round_to(std::log(2), GetParam()), round_to(std::log(2), GetParam())});
  expect(hardsigmoid(x), {nan, 1, 0, 0.5, 0.5});
  expect(mish(make({nan, inf, 1000, -1000})), {nan, inf, 1000, 0});
  expect(gelu(make({nan, inf, 1000, -1000})), {nan, inf, 1000, 0});
  expect(gelu(make({nan, 1000, -1000}), GeluForm::tanh), {nan, 1000, 0});
  expect(prelu(x, make({0.5})), {nan, inf, -inf, 0, 0});
  const Tensor kinks = make({0, 6, nan, -1}).set_requires_grad();
  expect_gradient(kinks, relu6(kinks), {0, 0, 1, 0});
}

TEST_P(Special, Powers) {
  expect(pow(make({0, nan, 1, 1, inf, -inf, -8, 0, 0}), make({0, 0, nan, inf, 0, 3, 0.5, -1, 2})),
         {1, 1, 1, 1, 1, -inf, nan, inf, 0});
  const Tensor a = make({0, 0, 0, -2, 2, nan}).set_requires_grad(), b = make({0, 2, -1, 3, 0, 0}).set_requires_grad();
  const Tensor y = pow(a, b);
  y.backward(ones_like(y));
  expect(a.grad(), {0, 0, -inf, 12, 0, 0});
  expect(b.grad(), {0, 0, -inf, nan, round_to(std::log(2), GetParam()), nan});
  const Tensor none = make({0, nan, inf}).set_requires_grad();
  expect_gradient(none, pow(none, 0), {0, 0, 0});
  const Tensor exponents = make({0, 1, -1}).set_requires_grad();
  expect_gradient(exponents, pow(0, exponents), {0, 0, -inf});
}

TEST_P(Special, LargestAndSmallest) {
  const Tensor a = make({nan, 1, inf, -inf, 0}), b = make({1, nan, -inf, 2, -0.0});
  expect(maximum(a, b), {nan, nan, inf, 2, 0});
  expect(minimum(a, b), {nan, nan, -inf, -inf, 0});
  const Tensor x = make({1, 2, 3}).set_requires_grad(), y = make({1, 3, 2}).set_requires_grad();
  const Tensor larger = maximum(x, y);
  larger.backward(ones_like(larger));
  expect(x.grad(), {0.5, 0, 1});
  expect(y.grad(), {0.5, 1, 0});
}

TEST_P(Special, Remainders) {
  expect(remainder(make({5, -5, 5, -5, 5, inf, 3, nan}), make({3, 3, -3, -3, 0, 2, inf, 1})),
         {2, 1, -1, -2, nan, nan, 3, nan});
  expect(floor_divide(make({5, -5, 5, -5, 5, -5, inf, nan}), make({3, 3, -3, -3, 0, 0, 2, 1})),
         {1, -2, -2, 1, inf, -inf, nan, nan});
}

TEST_P(Special, Predicates) {
  const Tensor x = make({nan, inf, -inf, 0, -0.0, 1});
  const auto answers = [](const Tensor& t) { return t.to_vector<bool>(); };
  using ::testing::ElementsAre;
  EXPECT_THAT(answers(isnan(x)), ElementsAre(true, false, false, false, false, false));
  EXPECT_THAT(answers(isinf(x)), ElementsAre(false, true, true, false, false, false));
  EXPECT_THAT(answers(isfinite(x)), ElementsAre(false, false, false, true, true, true));
  EXPECT_THAT(answers(logical_not(x)), ElementsAre(false, false, false, true, true, false));
  EXPECT_THAT(answers(x == x), ElementsAre(false, true, true, true, true, true));
  EXPECT_THAT(answers(x != x), ElementsAre(true, false, false, false, false, false));
  EXPECT_THAT(answers(x < inf), ElementsAre(false, false, true, true, true, true));
  EXPECT_THAT(answers(x >= 0), ElementsAre(false, true, false, true, true, true));
  EXPECT_THAT(answers(0 > x), ElementsAre(false, false, true, false, false, false));
  EXPECT_THAT(answers(1 <= x), ElementsAre(false, true, false, false, false, true));
  EXPECT_THAT(answers(logical_and(x, x)), ElementsAre(true, true, true, false, false, true));
}

TEST_P(Special, ChoicesDoNotMixInTheOther) {
  const Tensor condition = make({1, 0, 1}) > 0;
  expect(where(condition, make({1, nan, inf}), make({nan, 2, nan})), {1, 2, inf});
  const Tensor x = make({1, 2, 3}).set_requires_grad();
  expect_gradient(x, where(condition, x, log(make({0, -1, 0}))), {1, 0, 1});
  expect(masked_fill(make({nan, 2, 3}), condition, -inf), {-inf, 2, -inf});
}

TEST_P(Special, Reductions) {
  const Tensor x = make({2, 3}, {1, nan, 3, -inf, 5, inf});
  expect(sum(x, {.dims = {1}}), {nan, nan});
  expect(max(x, {.dims = {1}}), {nan, inf});
  expect(min(x, {.dims = {1}}), {nan, -inf});
  expect(max(x, {.dims = {0}}), {1, nan, inf});
  EXPECT_THAT(argmax(x, 1).to_vector<int64_t>(), ::testing::ElementsAre(1, 2));
  const Tensor two = make({nan, 1, nan});
  EXPECT_EQ(argmax(two, 0).item(), 0) << "the first NaN";
  expect(sum(make({inf, 1})), {inf});
  expect(mean(make({-inf, 1})), {-inf});
  EXPECT_EQ(argmax(make({-inf, -inf}), 0).item(), 0);
  expect(max(make({-inf, -inf})), {-inf});
}

TEST_P(Special, TiesGoToTheFirst) {
  const Tensor x = make({1, 3, 3, 0, 0}).set_requires_grad();
  EXPECT_EQ(argmax(x, 0).item(), 1);
  max(x).backward();
  expect(x.grad(), {0, 1, 0, 0, 0});
  Tensor(x).zero_grad();
  min(x).backward();
  expect(x.grad(), {0, 0, 0, 1, 0});
  const Tensor long_row = full({1000}, 2, {.dtype = GetParam(), .device = device()});
  EXPECT_EQ(argmax(long_row, 0).item(), 0);
  const Tensor image = make({1, 1, 2, 2}, {5, 5, 5, 5}).set_requires_grad();
  max_pool2d(image).sum().backward();
  expect(image.grad(), {1, 0, 0, 0});
}

TEST_P(Special, GradientOfAMaximumThatIsNaN) {
  const Tensor x = make({1, nan, 3}).set_requires_grad();
  max(x).backward();
  expect(x.grad(), {0, 1, 0});
}

TEST_P(Special, Softmax) {
  expect(softmax(make({1, 3}, {60000, 60000, -60000})), {0.5, 0.5, 0});
  expect(softmax(make({1, 3}, {-inf, 0, 0})), {0, 0.5, 0.5});
  expect(softmax(make({1, 2}, {-inf, -inf})), {nan, nan});
  expect(softmax(make({1, 2}, {inf, 0})), {nan, nan});
  expect(softmax(make({1, 3}, {nan, 0, 1})), {nan, nan, nan});
  expect(softmax(make({1, 1}, {-60000})), {1});
  expect(log_softmax(make({1, 2}, {60000, 60000})), {-std::log(2), -std::log(2)});
  expect(log_softmax(make({1, 2}, {0, -inf})), {0, -inf});
  expect(log_softmax(make({1, 2}, {nan, 1})), {nan, nan});
}

TEST_P(Special, CrossEntropy) {
  const Tensor labels = tensor({0, 1}, {2}, {.dtype = DType::int64, .device = device()});
  const Tensor x = make({2, 2}, {1000, 0, 1000, 0}).set_requires_grad();
  const Tensor losses = cross_entropy(x, labels, {.reduction = Reduction::none});
  expect(losses, {0, 1000});
  expect_gradient(x, losses, {0, 0, 1, -1});
  expect(cross_entropy(make({2, 2}, {0, -inf, -inf, 0}), labels, {.reduction = Reduction::none}), {0, 0});
  expect(cross_entropy(make({2, 2}, {-inf, 0, nan, 0}), labels, {.reduction = Reduction::none}), {inf, nan});
}

TEST_P(Special, CrossEntropyOfLargeLogits) {
  // Float32 resolves numbers near 10^4 to 10^-3: the gradient must come from differences of logits.
  if (epsilon(GetParam()) > 1e-6) GTEST_SKIP() << "the type does not hold these logits";
  const Tensor labels = tensor({2}, {1}, {.dtype = DType::int64, .device = device()});
  const Tensor x = make({1, 3}, {12345.25, 12345, 12344.75}).set_requires_grad();
  cross_entropy(x, labels).backward();
  const double sum = std::exp(0.25) + 1 + std::exp(-0.25);
  const std::vector<double> slopes = x.grad().to(DType::float64).to_vector<double>();
  EXPECT_NEAR(slopes[0], std::exp(0.25) / sum, 1e-6);
  EXPECT_NEAR(slopes[1], 1 / sum, 1e-6);
  EXPECT_NEAR(slopes[2], std::exp(-0.25) / sum - 1, 1e-6);
}

TEST_P(Special, Pooling) {
  expect(max_pool2d(make({1, 1, 2, 4}, {1, nan, 5, 2, 3, 4, -inf, 1})), {nan, 5});
  expect(max_pool2d(make({1, 1, 2, 2}, {-inf, -inf, -inf, -inf})), {-inf});
  expect(max_pool2d(make({1, 1, 2, 2}, {-3, -2, -5, -4}), {.kernel = 2, .padding = 1}), {-3, -2, -5, -4});
  expect(avg_pool2d(make({1, 1, 2, 4}, {1, nan, 5, 2, 3, 4, inf, 1})), {nan, inf});
  const Tensor x = make({1, 1, 2, 2}, {-inf, -inf, -inf, -inf}).set_requires_grad();
  expect_gradient(x, max_pool2d(x), {1, 0, 0, 0});
}

TEST_P(Special, Products) {
  expect(matmul(make({1, 2}, {inf, 1}), make({2, 1}, {0, 1})), {nan});
  expect(matmul(make({1, 2}, {inf, 1}), make({2, 1}, {1, 1})), {inf});
  expect(linear(make({1, 2}, {nan, 1}), make({1, 2}, {1, 1}), {}, {.activation = Activation::relu}), {nan});
  expect(linear(make({1, 2}, {nan, 1}), make({1, 2}, {1, 1}), {}, {.activation = Activation::gelu_tanh}), {nan});
  expect(linear(make({2, 1}, {1000, -1000}), make({1, 1}, {1}), {}, {.activation = Activation::gelu_tanh}), {1000, 0});
  expect(conv2d(make({1, 1, 1, 2}, {nan, 1}), make({1, 1, 1, 1}, {2}), {}, {.activation = Activation::relu}), {nan, 2});
}

TEST_P(Special, BatchNorm) {
  const DType wide = GetParam() == DType::float64 ? DType::float64 : DType::float32;
  const TensorOptions options{.dtype = wide, .device = device()};
  const Tensor weight = ones({2}, options), bias = zeros({2}, options);
  // A NaN stays in its channel, and goes through the fused ReLU.
  for (const Activation activation : {Activation::none, Activation::relu}) {
    const Array y =
        to_array(batch_norm(make({2, 2}, {nan, 1, 2, 3}), weight, bias, {}, {}, {.activation = activation}));
    EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[2]));
    EXPECT_TRUE(std::isfinite(y[1]) && std::isfinite(y[3]));
  }
  // Values that are all alike have no variance; eps keeps the result finite.
  expect(batch_norm(make({2, 2}, {5, 1, 5, 1}), weight, bias, {}, {}), {0, 0, 0, 0});
}

TEST_P(Special, DropoutKeepsNaNAndDropsInfinities) {
  manual_seed(1);
  const Array y = to_array(dropout(full({64}, inf, {.dtype = GetParam(), .device = device()})));
  int64_t zeros = 0;
  for (double value : y.values) {
    EXPECT_TRUE(value == inf || value == 0) << value;
    zeros += value == 0;
  }
  EXPECT_GT(zeros, 10);
  expect(dropout(make({nan, 1, inf}), {.p = 1}), {0, 0, 0});
}

INSTANTIATE_TEST_SUITE_P(Types, Special,
                         ::testing::Values(DType::float64, DType::float32, DType::float16, DType::bfloat16),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST(Integers, PowersAndRemaindersStayWhole) {
  const auto make = [](std::vector<double> values, DType type = DType::int64) {
    const auto n = static_cast<int64_t>(values.size());
    return to_tensor(Array({n}, std::move(values)), {.dtype = type, .device = device()});
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(pow(make({2, -1, 0, 1, -2, -1}), make({-1, -3, -1, -5, 3, -2})).to_vector<int64_t>(),
              ElementsAre(0, -1, 0, 1, -8, 1));
  EXPECT_THAT(pow(make({3, 10, -7}), 18).to_vector<int64_t>(),
              ElementsAre(387420489, 1000000000000000000, 1628413597910449));
  EXPECT_THAT(pow(2, make({0, 5, 62})).to_vector<int64_t>(), ElementsAre(1, 32, int64_t{1} << 62));
  EXPECT_THAT(pow(make({17}, DType::uint8), 2).to_vector<uint8_t>(), ElementsAre(33)) << "it wraps around";
  EXPECT_THAT(remainder(make({5, -5, 5, -5}), make({3, 3, -3, -3})).to_vector<int64_t>(), ElementsAre(2, 1, -1, -2));
  EXPECT_THAT(floor_divide(make({5, -5, 5, -5}), make({3, 3, -3, -3})).to_vector<int64_t>(), ElementsAre(1, -2, -2, 1));
  const int64_t least = INT64_MIN;
  const Tensor edge = full({1}, least, {.dtype = DType::int64, .device = device()});
  EXPECT_EQ(floor_divide(edge, -1).to_vector<int64_t>()[0], least) << "it wraps around";
  EXPECT_EQ(remainder(edge, -1).to_vector<int64_t>()[0], 0);
  EXPECT_EQ(maximum(edge, 0 * edge).to_vector<int64_t>()[0], 0);
  EXPECT_THAT((edge + 1 > edge).to_vector<bool>(), ElementsAre(true)) << "a double holds neither";
}

TEST(Precision, SumsOfManyFloatsStayRight) {
  const int64_t n = many(1 << 22);
  const Tensor x = full({n}, 0.1, {.device = device()});
  EXPECT_NEAR(sum(x).item() / (static_cast<double>(n) * 0.1), 1, 1e-6);
  EXPECT_NEAR(mean(x).item(), 0.1, 1e-7);
  const int64_t rows = many(1 << 18);
  const Tensor columns = full({rows, 3}, 0.1, {.device = device()});
  for (double value : to_array(sum(columns, {.dims = {0}})).values)
    EXPECT_NEAR(value / (static_cast<double>(rows) * 0.1), 1, 1e-6);
}

TEST(Precision, SixteenBitSumsAreRoundedOnce) {
  // Beyond 256 a bfloat16 cannot count by ones.
  const Tensor x = ones({4096}, {.dtype = DType::bfloat16, .device = device()});
  EXPECT_EQ(sum(x).item(), 4096);
  EXPECT_EQ(mean(x).item(), 1);
  EXPECT_EQ(sum(ones({60000}, {.dtype = DType::float16, .device = device()})).item(), 60000);
  // The mean of numbers whose sum float16 does not hold.
  EXPECT_EQ(mean(full({64}, 60000, {.dtype = DType::float16, .device = device()})).item(), 60000);
}

TEST(Precision, BatchNormOfNumbersFarFromZero) {
  // A variance computed as the mean of squares minus the squared mean would be lost here.
  manual_seed(1);
  const Tensor x = (randn({64, 3, 4, 4}) + 10000).to(device());
  const TensorOptions options{.device = device()};
  const Array y = to_array(batch_norm(x, ones({3}, options), zeros({3}, options), {}, {}));
  double sum = 0, squares = 0;
  for (double value : y.values) sum += value, squares += value * value;
  EXPECT_NEAR(sum / static_cast<double>(y.size()), 0, 0.01);
  EXPECT_NEAR(squares / static_cast<double>(y.size()), 1, 0.01);
}

}  // namespace
}  // namespace dnn::test
