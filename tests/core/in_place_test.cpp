// The in-place forms: the elements change where they lie, the version counts, and autograd is not fooled. copy_, fill_
// and the overlaps stand in tensor_test.cpp.
#include <gmock/gmock.h>

#include <cmath>

#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "tests/harness/errors.h"

namespace dnn {
namespace {

using ::testing::ElementsAre;

struct Form {
  const char* name;
  std::function<Tensor&(Tensor&)> in_place;
  std::function<Tensor(const Tensor&)> expected;
};

const std::vector<Form> forms{
    {"add_", [](Tensor& x) -> Tensor& { return x.add_(2); }, [](const Tensor& x) { return x + 2; }},
    {"sub_", [](Tensor& x) -> Tensor& { return x.sub_(2); }, [](const Tensor& x) { return x - 2; }},
    {"mul_", [](Tensor& x) -> Tensor& { return x.mul_(3); }, [](const Tensor& x) { return x * 3; }},
    {"div_", [](Tensor& x) -> Tensor& { return x.div_(3); }, [](const Tensor& x) { return x / 3; }},
    {"div_", [](Tensor& x) -> Tensor& { return x.div_(full_like(x, 3)); }, [](const Tensor& x) { return x / 3; }},
    {"pow_", [](Tensor& x) -> Tensor& { return x.pow_(3); }, [](const Tensor& x) { return pow(x, 3); }},
    {"clamp_", [](Tensor& x) -> Tensor& { return x.clamp_(1, 2); }, [](const Tensor& x) { return clamp(x, 1, 2); }},
    {"neg_", [](Tensor& x) -> Tensor& { return x.neg_(); }, neg},
    {"abs_", [](Tensor& x) -> Tensor& { return x.abs_(); }, abs},
    {"exp_", [](Tensor& x) -> Tensor& { return x.exp_(); }, exp},
    {"log_", [](Tensor& x) -> Tensor& { return x.log_(); }, log},
    {"sqrt_", [](Tensor& x) -> Tensor& { return x.sqrt_(); }, sqrt},
    {"relu_", [](Tensor& x) -> Tensor& { return x.relu_(); }, relu},
    {"sigmoid_", [](Tensor& x) -> Tensor& { return x.sigmoid_(); }, sigmoid},
    {"tanh_", [](Tensor& x) -> Tensor& { return x.tanh_(); }, [](const Tensor& x) { return tanh(x); }},
    {"masked_fill_", [](Tensor& x) -> Tensor& { return x.masked_fill_(x > 1, 7); },
     [](const Tensor& x) { return masked_fill(x, x > 1, 7); }},
};

TEST(InPlaceForms, GiveWhatTheOperationGives) {
  for (const DType type : {DType::float64, DType::float32, DType::bfloat16})
    for (const Form& form : forms) {
      SCOPED_TRACE(form.name);
      const Tensor start = tensor({0.5, 1, 1.5, 2, 2.5, 3}, {2, 3}, {.dtype = type});
      const auto expected = form.expected(start).to(DType::float64).to_vector<double>();
      Tensor whole = start.clone(), other = whole;
      const uint64_t before = whole.version();
      EXPECT_TRUE(form.in_place(whole).is_same(other));
      EXPECT_EQ(whole.to(DType::float64).to_vector<double>(), expected);
      EXPECT_GT(whole.version(), before);
      Tensor wide = zeros({2, 6}, {.dtype = type});  // with gaps
      Tensor view = wide.slice(1, 0, 6, 2);
      view.copy_(start);
      form.in_place(view);
      EXPECT_EQ(view.to(DType::float64).to_vector<double>(), expected);
      EXPECT_EQ(wide.slice(1, 1, 6, 2).to(DType::float64).sum().item(), 0) << "the gaps were written";
    }
}

TEST(InPlaceForms, AreRefusedWhereAutogradRecords) {
  for (const Form& form : forms) {
    Tensor leaf = ones({2}).set_requires_grad(), result = leaf * 2;
    EXPECT_THROW(form.in_place(leaf), AutogradError) << form.name;
    EXPECT_THROW(form.in_place(result), AutogradError) << form.name;
    NoGrad no_grad;
    EXPECT_NO_THROW(form.in_place(leaf)) << form.name;
  }
  Tensor leaf = ones({2}).set_requires_grad();
  EXPECT_ERROR(
      leaf.exp_(), AutogradError,
      "exp_: the tensor requires a gradient, expected one that autograd does not record, or NoGrad (shape [2], a "
      "leaf)");
  EXPECT_THROW(leaf.uniform_(), AutogradError);
  EXPECT_THROW(leaf.normal_(), AutogradError);
  EXPECT_THROW(leaf.bernoulli_(), AutogradError);
  EXPECT_THROW(ones({2}).div_(leaf), AutogradError) << "an operand that is recorded";
}

TEST(InPlaceForms, AreNoticedBySavedTensors) {
  const Tensor x = ones({2}).set_requires_grad();
  Tensor factor = ones({2});
  const Tensor y = x * factor;
  factor.neg_();
  EXPECT_THROW(y.sum().backward(), AutogradError);
}

TEST(InPlaceForms, DoNotCutFractionsOff) {
  Tensor x = tensor({1, 2}, {2}, {.dtype = DType::int64});
  EXPECT_ERROR(x.div_(2), DTypeError,
               "div_: the result is float32, expected one that the int64 tensor changed in place can hold (shape [2])");
  EXPECT_ERROR(x.add_(0.5), DTypeError,
               "add_: the result is float32, expected one that the int64 tensor changed in place can hold (shape [2])");
  EXPECT_THROW(x.exp_(), DTypeError);
  EXPECT_THAT(x.add_(3).mul_(2).neg_().abs_().clamp_(9, 20).pow_(2).to_vector<int64_t>(), ElementsAre(81, 100));
}

TEST(InPlaceForms, RefuseElementsThatShareTheirMemory) {
  Tensor rows = zeros({3}).expand({4, 3});
  const char* const text =
      ": elements of the tensor share their memory along dimension 0, expected a copy of what was expanded (shape "
      "[4, 3])";
  EXPECT_ERROR(rows.add_(ones({4, 3})), ArgumentError, "add_" + std::string(text));
  EXPECT_ERROR(rows.copy_(ones({4, 3})), ArgumentError, "copy_" + std::string(text));
  EXPECT_ERROR(rows.mul_(2), ArgumentError, "mul_" + std::string(text));
  EXPECT_EQ(rows.fill_(1).sum().item(), 12);
  zeros({0, 1}).expand({0, 3}).mul_(2);
}

// Which float64 has not.
TEST(InPlaceForms, ComputeLargeIntegersExactly) {
  const int64_t odd = (int64_t{1} << 53) + 1, most = std::numeric_limits<int64_t>::max();
  const auto number = [](int64_t value) { return full({1}, value, {.dtype = DType::int64}); };
  const auto value = [](const Tensor& t) { return t.to_vector<int64_t>()[0]; };
  EXPECT_EQ(value(number(0) + odd), odd);
  EXPECT_EQ(value(number(1) + (most - 1)), most);
  EXPECT_EQ(value(number(odd) - int64_t{1}), odd - 1);
  EXPECT_EQ(value(sub(Scalar(odd), number(2))), odd - 2);
  EXPECT_EQ(value(number(3) * odd), 3 * odd);
  EXPECT_EQ(value(number(odd).add_(2)), odd + 2);
  EXPECT_EQ(value(number(odd).sub_(2)), odd - 2);
  EXPECT_EQ(value(number(odd).mul_(3)), 3 * odd);
  EXPECT_EQ(value(number(1).add_(number(odd), 3)), 3 * odd + 1);
  EXPECT_EQ(value(number(odd).neg_()), -odd);
}

TEST(InPlaceForms, AsOperators) {
  Tensor x = tensor({1, 2}), same = x;
  x += 1;
  x *= tensor({2, 3});
  x -= tensor({1, 1});
  x /= 2;
  x += tensor({0.5});
  x -= 1;
  x *= 2;
  x /= tensor({1, 7});
  EXPECT_THAT(same.to_vector<float>(), ElementsAre(2, 1));
}

TEST(InPlaceForms, DrawFromTheDefaultGenerator) {
  for (const DType type : {DType::float64, DType::float32, DType::bfloat16}) {
    const TensorOptions options{.dtype = type};
    Tensor x = empty({4, 5}, options);
    manual_seed(3), x.uniform_(-1, 3);
    manual_seed(3);
    EXPECT_EQ(x.str(), (rand({4, 5}, options) * 4 - 1).str());
    manual_seed(3), x.t().normal_(5, 2);
    manual_seed(3);
    EXPECT_EQ(x.t().str(), (randn({5, 4}, options) * 2 + 5).str());
  }
  Tensor coins = empty({10000}, {.dtype = DType::boolean});
  coins.bernoulli_(0.25);
  EXPECT_NEAR(coins.sum().item(), 2500, 200);
  EXPECT_EQ(coins.bernoulli_(0).sum().item(), 0);
  EXPECT_EQ(coins.bernoulli_(1).sum().item(), 10000);
  EXPECT_ERROR(coins.bernoulli_(1.5), ArgumentError, "bernoulli_: p is 1.5, expected 0 to 1 (shape [10000])");
  EXPECT_ERROR(coins.uniform_(), DTypeError, "uniform_: tensor is bool, expected a floating type (tensor [10000])");
  EXPECT_ERROR(coins.normal_(), DTypeError, "normal_: tensor is bool, expected a floating type (tensor [10000])");
}

}  // namespace
}  // namespace dnn
