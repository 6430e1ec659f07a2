// Drawing, calling, comparing.
#include "tests/harness/trial.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "dnn/random.h"
#include "tests/harness/compare.h"

namespace dnn::test {

namespace {

Array draw(const Input& input, std::mt19937_64& random) {
  if (!input.listed.empty()) return {input.shape, input.listed};
  Array values(input.shape);
  std::uniform_real_distribution<double> uniform(input.low, input.high);
  for (double& x : values.values) {
    x = uniform(random);
    if (input.dtype && !is_floating(*input.dtype)) x = std::floor(x);
  }
  return values;
}

// Small whole numbers for operations on integers.
double whole(double x, DType type) {
  if (type == DType::boolean) return x > 0;
  return std::round(3 * (type == DType::uint8 ? std::abs(x) : x));
}

}  // namespace

Trial::Trial(const Row& row, const Sample& sample, DType type, Device device)
    : row_(row), sample_(sample), type_(type), device_(device) {
  std::mt19937_64 random(std::hash<std::string>{}(row.operation + sample.label) % 1000003);
  for (const Input& input : sample.inputs) {
    Array values = draw(input, random);
    if (!input.dtype && !is_floating(type)) values = map(values, [&](double x) { return whole(x, type); });
    values_.push_back(round_to(values, type_of(input)));
  }
}

DType Trial::type_of(const Input& input) const {
  if (input.dtype) return *input.dtype;
  return input.statistic && is_floating(type_) && size_of(type_) == 2 ? DType::float32 : type_;
}

bool Trial::differentiable(size_t i) const {
  return row_.differentiable && sample_.inputs[i].differentiable && is_floating(type_of(sample_.inputs[i]));
}

bool Trial::any_differentiable() const {
  for (size_t i = 0; i < inputs(); ++i)
    if (differentiable(i)) return true;
  return false;
}

Tensor Trial::leaf(size_t i, Form form) const {
  return to_tensor(values_[i],
                   {.dtype = type_of(sample_.inputs[i]), .device = device_, .requires_grad = differentiable(i)}, form);
}

Tensor Trial::leaf_in(size_t i, Layout layout) const {
  return with_layout(leaf(i), layout).set_requires_grad(differentiable(i));
}

Tensors Trial::leaves(Form form) const {
  Tensors all;
  for (size_t i = 0; i < inputs(); ++i) all.push_back(leaf(i, form));
  return all;
}

bool Trial::takes_layout(size_t i, Layout layout) const {
  const Input& input = sample_.inputs[i];
  return input.activation && test::takes_layout(input.shape, type_of(input), layout, device_);
}

bool Trial::all_activations_alike() const {
  const Input* first = nullptr;
  for (const Input& input : sample_.inputs) {
    if (!input.activation) continue;
    if (first != nullptr && input.shape != first->shape) return false;
    first = &input;
  }
  return true;
}

Tensor Trial::call(const Tensors& inputs) const {
  manual_seed(call_seed);
  return sample_.function({inputs, {.dtype = type_, .device = device_}});
}

Array Trial::upstream(const Tensor& result) const {
  Array values(result.shape());
  std::mt19937_64 random(5);
  for (double& x : values.values) x = std::uniform_real_distribution<double>(-1, 1)(random);
  return round_to(values, is_floating(type_) ? type_ : DType::float64);
}

Tensor Trial::upstream_tensor(const Tensor& result, Form form) const {
  return to_tensor(upstream(result), result.options(), form);
}

Outcome Trial::run(const Tensors& inputs, const std::function<Tensor(const Tensor&)>& gradient) const {
  const Tensor result = call(inputs);
  if (result.requires_grad()) result.backward(gradient ? gradient(result) : upstream_tensor(result));
  return outcome(result, inputs);
}

Outcome Trial::outcome(const Tensor& result, const Tensors& inputs) const {
  Outcome all{.result = to_array(result), .type = result.dtype(), .gradients = {}, .has_gradient = {}};
  for (const Tensor& input : inputs) {
    const bool has = input.requires_grad() && input.grad().defined();
    all.has_gradient.push_back(has);
    all.gradients.push_back(has ? to_array(input.grad()) : Array());
    if (!has) continue;
    EXPECT_EQ(input.grad().shape(), input.shape());
    EXPECT_STREQ(name_of(input.grad().dtype()), name_of(input.dtype()));
    EXPECT_TRUE(input.grad().is_contiguous());
  }
  return all;
}

Outcome Trial::expected(const std::optional<Array>& gradient) const {
  Trial exact(row_, sample_, DType::float64, Device::cpu());
  exact.values_ = values_;
  const bool differentiate = any_differentiable();
  Tensors inputs;
  for (size_t i = 0; i < exact.inputs(); ++i)
    inputs.push_back(exact.leaf(i).set_requires_grad(differentiate && differentiable(i)));
  const Tensor result = exact.call(inputs);
  if (result.requires_grad())
    result.backward(to_tensor(gradient ? *gradient : upstream(result), {.dtype = result.dtype()}));
  return exact.outcome(result, inputs);
}

double Trial::unit(DType type) const {
  return std::max(epsilon(type), is_floating(type_) && is_floating(type) ? epsilon(type_) : 0);
}

void Trial::check_result(const Outcome& actual, const Outcome& truth) const {
  // uint8 wraps around, as in C++ and PyTorch.
  const Array result = actual.type == DType::uint8
                           ? map(truth.result, [](double x) { return x - 256 * std::floor(x / 256); })
                           : truth.result;
  EXPECT_TRUE(close(actual.result, result, row_.tolerance * unit(actual.type))) << "in the result";
}

void Trial::check_gradients(const Outcome& actual, const Outcome& truth, double factor, double extra,
                            double least) const {
  for (size_t i = 0; i < inputs(); ++i) {
    EXPECT_EQ(actual.has_gradient[i], truth.has_gradient[i]) << "gradient of input " << i;
    if (!actual.has_gradient[i] || !truth.has_gradient[i]) continue;
    EXPECT_TRUE(close(actual.gradients[i], map(truth.gradients[i], [&](double x) { return factor * x; }),
                      (row_.gradient_tolerance + extra) * unit(type_of(sample_.inputs[i])), least))
        << "in the gradient of input " << i;
  }
}

}  // namespace dnn::test
