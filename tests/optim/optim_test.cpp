// The optimizers against PyTorch's formulas written out in float64, and the bookkeeping of the base class.
#include "dnn/optim.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "tests/harness/errors.h"

namespace dnn::test {
namespace {

using List = std::vector<double>;

List values(const Tensor& t) { return t.detach().to(DType::float64).to_vector<double>(); }

Tensor parameter(const List& list, DType type = DType::float64) {
  Tensor t = from_values(list, {static_cast<int64_t>(list.size())}).to(type);
  return t.set_requires_grad(true);
}

// The gradient of step `t`: numbers of both signs and different sizes.
List gradient(const List& weights, int t) {
  List result(weights.size());
  for (size_t i = 0; i < weights.size(); ++i)
    result[i] =
        0.3 * weights[i] + std::sin(1.7 * t + static_cast<double>(i)) * std::pow(10.0, static_cast<double>(i % 3) - 1);
  return result;
}

// One element of PyTorch's update: changes weight and state, given gradient and step from 1.
struct Reference {
  double state1 = 0, state2 = 0, state3 = 0;
};
using Formula = std::function<double(double weight, double gradient, int step, Reference& state)>;

Formula sgd(const SgdOptions& o) {
  return [o](double weight, double gradient, int step, Reference& state) {
    gradient += o.weight_decay * weight;
    if (o.momentum != 0) {
      state.state1 = step == 1 ? gradient : o.momentum * state.state1 + (1 - o.dampening) * gradient;
      gradient = o.nesterov ? gradient + o.momentum * state.state1 : state.state1;
    }
    return weight - o.lr * gradient;
  };
}

Formula adam(const AdamOptions& o) {
  return [o](double weight, double gradient, int step, Reference& state) {
    gradient += o.weight_decay * weight;
    state.state1 = o.beta1 * state.state1 + (1 - o.beta1) * gradient;
    state.state2 = o.beta2 * state.state2 + (1 - o.beta2) * gradient * gradient;
    const double mean = state.state1 / (1 - std::pow(o.beta1, step));
    const double square = state.state2 / (1 - std::pow(o.beta2, step));
    return weight - o.lr * mean / (std::sqrt(square) + o.eps);
  };
}

Formula adamw(const AdamWOptions& o) {
  return [o](double weight, double gradient, int step, Reference& state) {
    const Formula plain = adam({.lr = o.lr, .beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps});
    return plain(weight, gradient, step, state) - o.lr * o.weight_decay * weight;
  };
}

Formula rmsprop(const RmspropOptions& o) {
  return [o](double weight, double gradient, int, Reference& state) {
    gradient += o.weight_decay * weight;
    state.state1 = o.alpha * state.state1 + (1 - o.alpha) * gradient * gradient;
    state.state2 = o.alpha * state.state2 + (1 - o.alpha) * gradient;
    const double variance = state.state1 - (o.centered ? state.state2 * state.state2 : 0);
    state.state3 = o.momentum * state.state3 + gradient / (std::sqrt(variance) + o.eps);
    return weight - o.lr * state.state3;
  };
}

Formula adagrad(const AdagradOptions& o) {
  return [o](double weight, double gradient, int step, Reference& state) {
    gradient += o.weight_decay * weight;
    state.state1 += (step == 1 ? o.initial_sum : 0) + gradient * gradient;
    return weight - o.lr / (1 + (step - 1) * o.lr_decay) * gradient / (std::sqrt(state.state1) + o.eps);
  };
}

// Follows 20 steps of two parameters, the second of which gets its first gradient in step 4 and none in step 9.
void expect_trajectory(const std::function<std::unique_ptr<Optimizer>(std::vector<Tensor>)>& make,
                       const Formula& formula, DType type, double tolerance) {
  std::vector<List> weights{{1.0, -2.0, 0.5, 0.0, 3.0}, {-0.7, 0.1}};
  std::vector<Tensor> parameters{parameter(weights[0], type), parameter(weights[1], type)};
  const std::unique_ptr<Optimizer> optimizer = make(parameters);
  std::vector<std::vector<Reference>> states{std::vector<Reference>(5), std::vector<Reference>(2)};
  std::vector<int> steps{0, 0};
  for (int t = 1; t <= 20; ++t) {
    optimizer->zero_grad();
    for (size_t p = 0; p < 2; ++p) {
      if (p == 1 && (t < 4 || t == 9)) continue;
      const List g = gradient(weights[p], t);
      parameters[p].set_grad(from_values(g, {static_cast<int64_t>(g.size())}).to(type));
      ++steps[p];
      for (size_t i = 0; i < g.size(); ++i) weights[p][i] = formula(weights[p][i], g[i], steps[p], states[p][i]);
    }
    optimizer->step();
    for (size_t p = 0; p < 2; ++p) {
      const List actual = values(parameters[p]);
      for (size_t i = 0; i < actual.size(); ++i)
        ASSERT_NEAR(actual[i], weights[p][i], tolerance * (1 + std::abs(weights[p][i])))
            << "step " << t << ", parameter " << p << ", element " << i;
    }
  }
}

void expect_sgd(const SgdOptions& options) {
  const auto make = [&](std::vector<Tensor> list) { return std::make_unique<SGD>(std::move(list), options); };
  expect_trajectory(make, sgd(options), DType::float64, 1e-13);
  expect_trajectory(make, sgd(options), DType::float32, 1e-6);
}

void expect_adam(const AdamOptions& options) {
  const auto make = [&](std::vector<Tensor> list) { return std::make_unique<Adam>(std::move(list), options); };
  expect_trajectory(make, adam(options), DType::float64, 1e-13);
  expect_trajectory(make, adam(options), DType::float32, 2e-6);
}

template <class Optim, class Options>
void expect_follows(const Options& options, const Formula& formula) {
  const auto make = [&](std::vector<Tensor> list) { return std::make_unique<Optim>(std::move(list), options); };
  expect_trajectory(make, formula, DType::float64, 1e-12);
  expect_trajectory(make, formula, DType::float32, 4e-6);
}

TEST(AdamW, FollowsTheFormula) {
  for (const AdamWOptions& o : {AdamWOptions{}, AdamWOptions{.lr = 0.1, .beta1 = 0.5, .weight_decay = 0.2}})
    expect_follows<AdamW>(o, adamw(o));
}

TEST(RMSprop, FollowsTheFormula) {
  for (const RmspropOptions& o :
       {RmspropOptions{}, RmspropOptions{.alpha = 0.9, .eps = 1e-3, .weight_decay = 0.01},
        RmspropOptions{.momentum = 0.9}, RmspropOptions{.eps = 1e-2, .momentum = 0.5, .centered = true}})
    expect_follows<RMSprop>(o, rmsprop(o));
}

TEST(Adagrad, FollowsTheFormula) {
  for (const AdagradOptions& o :
       {AdagradOptions{}, AdagradOptions{.lr = 0.1, .lr_decay = 0.01, .weight_decay = 0.01, .initial_sum = 0.5}})
    expect_follows<Adagrad>(o, adagrad(o));
}

TEST(SGD, FollowsTheFormula) {
  expect_sgd({.lr = 0.1});
  expect_sgd({.lr = 0.1, .weight_decay = 0.01});
  expect_sgd({.lr = 0.05, .momentum = 0.9});
  expect_sgd({.lr = 0.05, .momentum = 0.9, .dampening = 0.3});
  expect_sgd({.lr = 0.05, .momentum = 0.9, .weight_decay = 5e-4});
  expect_sgd({.lr = 0.05, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true});
}

TEST(Adam, FollowsTheFormula) {
  expect_adam({});
  expect_adam({.lr = 0.01, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3});
  expect_adam({.lr = 0.01, .weight_decay = 0.1});
  expect_adam({.lr = 0.01, .beta1 = 0});
}

// A step on the gradient of sum(p * p) / 2, which is p.
void descend(Optimizer& optimizer) {
  optimizer.zero_grad();
  for (const Tensor& p : optimizer.parameters()) (p * p * 0.5).sum().backward();
  optimizer.step();
}

TEST(Optimizer, LeavesParametersWithoutFreshGradientAlone) {
  Tensor used = parameter({1, 2}), stale = parameter({3}), never = parameter({4}), frozen = parameter({5});
  SGD optimizer({used, stale, never, frozen}, {.lr = 0.5, .momentum = 0.9, .weight_decay = 0.1});
  frozen.set_requires_grad(false);
  (used.sum() + stale.sum()).backward();
  optimizer.step();
  const List after = values(stale);
  EXPECT_NE(after, List({3}));
  optimizer.zero_grad();
  used.sum().backward();
  optimizer.step();
  EXPECT_EQ(values(stale), after) << "neither decayed nor carried on by its velocity";
  EXPECT_EQ(values(never), List({4}));
  EXPECT_EQ(values(frozen), List({5}));
}

TEST(Optimizer, ForgetsGradients) {
  Tensor p = parameter({1, 2});
  SGD optimizer({p}, {.lr = 0.5});
  p.sum().backward();
  EXPECT_TRUE(p.has_grad());
  optimizer.zero_grad();
  EXPECT_FALSE(p.has_grad());
  optimizer.step();
  EXPECT_EQ(values(p), List({1, 2}));
}

TEST(Optimizer, StepsOutsideAutogradAndCountsVersions) {
  Tensor p = parameter({1, 2});
  SGD optimizer({p}, {.lr = 0.5, .momentum = 0.9});
  const uint64_t before = p.version();
  descend(optimizer);
  EXPECT_TRUE(p.is_leaf());
  EXPECT_GT(p.version(), before);
}

TEST(Optimizer, StatesKeepTheirAddresses) {
  Tensor p = parameter({1, 2});
  Adam optimizer({p});
  descend(optimizer);
  const StateDict first = optimizer.state_dict();
  const double* mean = first.at("0.mean").data<double>();
  descend(optimizer);
  optimizer.load_state_dict(optimizer.state_dict().clone());
  EXPECT_EQ(optimizer.state_dict().at("0.mean").data<double>(), mean);
}

TEST(Optimizer, ChangesTheLearningRate) {
  Tensor p = parameter({1});
  SGD optimizer({p}, {.lr = 0.5});
  EXPECT_EQ(optimizer.lr(), 0.5);
  optimizer.set_lr(0.25);
  descend(optimizer);
  EXPECT_EQ(values(p), List({0.75}));
  EXPECT_ERROR(optimizer.set_lr(-1), ArgumentError, "sgd: lr is -1, expected a finite number, at least 0");
  EXPECT_EQ(optimizer.lr(), 0.25);
}

TEST(Optimizer, FollowsParametersToAnotherType) {
  Tensor p = parameter({1, 2});
  SGD optimizer({p}, {.lr = 0.1, .momentum = 0.9});
  descend(optimizer);
  p.set_data(p.detach().to(DType::float32));
  descend(optimizer);
  EXPECT_EQ(p.dtype(), DType::float32);
  EXPECT_EQ(optimizer.state_dict().at("0.velocity").dtype(), DType::float32);
  const double expected = 0.9 - 0.1 * (0.9 * 1 + 0.9);
  EXPECT_NEAR(values(p)[0], expected, 1e-6);
}

// ---- state dicts ---------------------------------------------------------------------------------------------------

TEST(Optimizer, StateDictNamesWhatWasUpdated) {
  Tensor p = parameter({1, 2}), unused = parameter({3});
  Adam optimizer({unused, p}, {.lr = 0.01});
  EXPECT_EQ(optimizer.state_dict().size(), 1u);
  for (int i = 0; i < 2; ++i) {
    optimizer.zero_grad();
    p.sum().backward();
    optimizer.step();
  }
  const StateDict state = optimizer.state_dict();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : state) names.push_back(name);
  EXPECT_EQ(names, std::vector<std::string>({"lr", "1.step", "1.mean", "1.square"}));
  EXPECT_EQ(state.at("lr").item(), 0.01);
  EXPECT_EQ(state.at("1.step").item(), 2);
  EXPECT_EQ(state.at("1.step").dtype(), DType::int64);
}

template <class O, class Options>
void expect_resumes(const Options& options) {
  Tensor p = parameter({1, -2, 3}), late = parameter({4});
  O whole({p, late}, options);
  const auto step = [](O& optimizer, bool with_late) {
    optimizer.zero_grad();
    const auto& list = optimizer.parameters();
    (list[0] * list[0]).sum().backward();
    if (with_late) (list[1] * list[1]).sum().backward();
    optimizer.step();
  };
  for (int i = 0; i < 3; ++i) step(whole, i == 2);
  Tensor p2 = parameter(values(p)), late2 = parameter(values(late));
  O resumed({p2, late2}, options);
  for (int i = 0; i < 2; ++i) step(resumed, true);  // what was there before is overwritten
  p2.set_data(p.detach().clone()), late2.set_data(late.detach().clone());
  whole.set_lr(0.02);
  resumed.load_state_dict(whole.state_dict().clone());
  EXPECT_EQ(resumed.lr(), 0.02);
  for (int i = 0; i < 5; ++i) {
    step(whole, true), step(resumed, true);
    EXPECT_EQ(values(p2), values(p));
    EXPECT_EQ(values(late2), values(late));
  }
}

TEST(Optimizer, GoesOnFromAStateDict) {
  expect_resumes<SGD>(SgdOptions{.lr = 0.01, .momentum = 0.9, .dampening = 0.2});
  expect_resumes<SGD>(SgdOptions{.lr = 0.01});
  expect_resumes<Adam>(AdamOptions{.lr = 0.01});
}

TEST(Optimizer, AnEmptyStateDictStartsAnew) {
  Tensor p = parameter({1}), q = parameter({1});
  Adam used({p}), fresh({q});
  descend(used);
  used.load_state_dict(fresh.state_dict());
  p.set_data(q.detach().clone());
  descend(used), descend(fresh);
  EXPECT_EQ(values(p), values(q));
}

TEST(Optimizer, RefusesStatesThatDoNotFit) {
  Tensor p = parameter({1, 2});
  SGD optimizer({p}, {.lr = 0.1, .momentum = 0.9});
  descend(optimizer);
  const StateDict before = optimizer.state_dict().clone();
  const Tensor lr = full({}, 0.5), step = full({}, 3, {.dtype = DType::int64});
  EXPECT_ERROR(optimizer.load_state_dict({}), ArgumentError, "sgd: the state has no 'lr'");
  EXPECT_ERROR(optimizer.load_state_dict({{"lr", zeros({2})}}), ArgumentError,
               "sgd: 'lr' of the state has shape [2], expected []");
  EXPECT_ERROR(optimizer.load_state_dict({{"lr", full({}, -1)}}), ArgumentError,
               "sgd: lr of the state is -1, expected a finite number, at least 0");
  EXPECT_ERROR(optimizer.load_state_dict({{"lr", lr}, {"0.step", step}}), ArgumentError,
               "sgd: the state has no '0.velocity'");
  EXPECT_ERROR(optimizer.load_state_dict({{"lr", lr}, {"0.step", step}, {"0.velocity", zeros({3})}}), ArgumentError,
               "sgd: '0.velocity' of the state has shape [3], expected [2]");
  EXPECT_ERROR(optimizer.load_state_dict({{"lr", lr}, {"0.step", full({}, -1)}}), ArgumentError,
               "sgd: step of the state is -1, expected a count");
  EXPECT_ERROR(optimizer.load_state_dict({{"lr", lr}, {"1.step", step}}), ArgumentError,
               "sgd: '1.step' of the state is unexpected (there are 1 parameters)");
  for (const auto& [name, tensor] : optimizer.state_dict()) EXPECT_EQ(values(tensor), values(before.at(name))) << name;
}

// ---- bad options ---------------------------------------------------------------------------------------------------

TEST(Optimizer, RefusesBadParameters) {
  const Tensor p = parameter({1});
  EXPECT_ERROR(SGD({}, {}), ArgumentError, "sgd: there are no parameters, expected at least one");
  EXPECT_ERROR(Adam({p, {}}), ArgumentError, "adam: parameter 1 is undefined, expected a tensor");
  EXPECT_ERROR(Adam({p, p * 2}), ArgumentError, "adam: parameter 1 is the result of an operation, expected a leaf");
  EXPECT_ERROR(Adam({p, parameter({2}), p}), ArgumentError,
               "adam: parameter 2 is in the list twice, expected each once");
}

TEST(Optimizer, RefusesBadOptions) {
  const std::vector<Tensor> list{parameter({1})};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_ERROR(SGD(list, {.lr = -0.1}), ArgumentError, "sgd: lr is -0.1, expected a finite number, at least 0");
  EXPECT_ERROR(SGD(list, {.lr = nan}), ArgumentError, "sgd: lr is nan, expected a finite number, at least 0");
  EXPECT_ERROR(SGD(list, {.momentum = -1}), ArgumentError, "sgd: momentum is -1, expected a finite number, at least 0");
  EXPECT_ERROR(SGD(list, {.weight_decay = -1}), ArgumentError,
               "sgd: weight_decay is -1, expected a finite number, at least 0");
  EXPECT_ERROR(SGD(list, {.momentum = 0.9, .dampening = nan}), ArgumentError,
               "sgd: dampening is nan, expected a finite number");
  EXPECT_ERROR(SGD(list, {.nesterov = true}), ArgumentError,
               "sgd: momentum is 0, expected a positive number for nesterov");
  EXPECT_ERROR(SGD(list, {.momentum = 0.9, .dampening = 0.1, .nesterov = true}), ArgumentError,
               "sgd: dampening is 0.1, expected 0 for nesterov");
  EXPECT_ERROR(Adam(list, {.beta1 = 1}), ArgumentError, "adam: beta1 is 1, expected a number in [0, 1)");
  EXPECT_ERROR(Adam(list, {.beta2 = -0.5}), ArgumentError, "adam: beta2 is -0.5, expected a number in [0, 1)");
  EXPECT_ERROR(Adam(list, {.eps = -1}), ArgumentError, "adam: eps is -1, expected a finite number, at least 0");
  EXPECT_ERROR(Adam(list, {.weight_decay = -1}), ArgumentError,
               "adam: weight_decay is -1, expected a finite number, at least 0");
}

}  // namespace
}  // namespace dnn::test
