// Groups of parameters, clipping, averaged weights, and two problems that each optimizer has to solve.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>

#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "dnn/optim.h"
#include "tests/harness/errors.h"

namespace dnn::test {
namespace {

using List = std::vector<double>;

List values(const Tensor& t) { return t.detach().to(DType::float64).to_vector<double>(); }
Tensor parameter(const List& list) {
  return from_values(list, {static_cast<int64_t>(list.size())}).set_requires_grad(true);
}
Tensor with_gradient(const List& list, const List& gradient) {
  Tensor t = parameter(list);
  t.set_grad(from_values(gradient, {static_cast<int64_t>(gradient.size())}));
  return t;
}

TEST(Groups, EachHasItsOptions) {
  const Tensor a = with_gradient({1, 2}, {1, 1}), b = with_gradient({3}, {1}), c = with_gradient({4}, {1});
  SGD sgd({{{a, b}, {.lr = 0.5}}, {{c}, {.lr = 0.25, .weight_decay = 1}}});
  EXPECT_EQ(sgd.groups(), 2u);
  EXPECT_EQ(sgd.lr(1), 0.25);
  sgd.step();
  EXPECT_EQ(values(a), (List{0.5, 1.5}));
  EXPECT_EQ(values(b), (List{2.5}));
  EXPECT_EQ(values(c), (List{4 - 0.25 * 5}));
}

TEST(Groups, ScaleTogetherAndAreSetAlone) {
  const Tensor a = parameter({1}), b = parameter({2});
  Adam adam({{{a}, {.lr = 0.5}}, {{b}, {.lr = 0.25}}});
  adam.scale_lr(0.5);
  EXPECT_EQ(adam.lr(0), 0.25);
  EXPECT_EQ(adam.lr(1), 0.125);
  adam.scale_lr(1);
  EXPECT_EQ(adam.lr(0), 0.5);
  adam.set_lr(1, 2);
  EXPECT_EQ(adam.lr(0), 0.5);
  EXPECT_EQ(adam.lr(1), 2);
  adam.set_lr(0.1);
  EXPECT_EQ(adam.lr(0), 0.1);
  EXPECT_EQ(adam.lr(1), 0.1);
}

TEST(Groups, KeepTheirFactorWhenOneIsSet) {
  const Tensor a = parameter({1}), b = parameter({2});
  Adam adam({{{a}, {.lr = 0.5}}, {{b}, {.lr = 0.25}}});
  adam.scale_lr(0.5);
  adam.set_lr(1, 1.0);
  EXPECT_EQ(adam.lr(0), 0.25);
  EXPECT_EQ(adam.lr(1), 1);
  EXPECT_EQ(values(adam.state_dict().at("lr")), (List{0.5, 1}));
  EXPECT_EQ(values(adam.state_dict().at("scale")), (List{0.5, 1}));
  adam.scale_lr(0.25);
  EXPECT_EQ(adam.lr(0), 0.125);
  EXPECT_EQ(adam.lr(1), 0.25);
}

TEST(Groups, AreScaledOnceMoreForAStep) {
  const Tensor a = with_gradient({1}, {1});
  SGD sgd({a}, {.lr = 0.5});
  sgd.scale_lr(0.5);
  sgd.scale_step(0.5);
  EXPECT_EQ(sgd.lr(), 0.125);
  sgd.step();
  EXPECT_EQ(values(a), (List{0.875}));
  EXPECT_EQ(sgd.state_dict().at("scale").item(), 0.5);
  sgd.scale_step(1);
  EXPECT_EQ(sgd.lr(), 0.25);
  EXPECT_ERROR(sgd.scale_step(-1), ArgumentError, "sgd: factor of the lr is -1, expected a finite number, at least 0");
}

TEST(Groups, AreInTheStateDict) {
  const Tensor a = with_gradient({1}, {1}), b = with_gradient({2}, {1});
  const auto make = [&] { return SGD({{{a}, {.lr = 0.5, .momentum = 0.9}}, {{b}, {.lr = 0.25}}}); };
  SGD sgd = make();
  sgd.set_lr(1, 8);
  sgd.scale_lr(0.5);
  sgd.step();
  EXPECT_EQ(values(sgd.state_dict().at("lr")), (List{0.5, 8}));
  SGD other = make();
  other.load_state_dict(sgd.state_dict());
  EXPECT_EQ(other.lr(0), 0.25);
  EXPECT_EQ(other.lr(1), 4);
  sgd.scale_lr(1);
  EXPECT_FALSE(sgd.state_dict().contains("scale"));
  other.load_state_dict(sgd.state_dict());
  EXPECT_EQ(other.lr(1), 8);
  StateDict bad = sgd.state_dict();
  bad.insert("scale", tensor({1, -1}));
  EXPECT_ERROR(other.load_state_dict(bad), ArgumentError,
               "sgd: scale of the state is -1, expected a finite number, at least 0");
  EXPECT_EQ(values(other.state_dict().at("0.velocity")), (List{1}));
  SGD single({a, b}, {.lr = 1, .momentum = 0.9});
  EXPECT_ERROR(single.load_state_dict(sgd.state_dict()), ArgumentError,
               "sgd: 'lr' of the state has shape [2], expected []");
}

TEST(Groups, BadOnesAreNamed) {
  const Tensor a = parameter({1}), b = parameter({2});
  EXPECT_ERROR(SGD({{{a}, {.lr = 1}}, {{}, {.lr = 1}}}), ArgumentError,
               "sgd: group 1 has no parameters, expected at least one");
  EXPECT_ERROR(SGD({{{a}, {.lr = 1}}, {{a}, {.lr = 1}}}), ArgumentError,
               "sgd: parameter 1 is in the list twice, expected each once");
  EXPECT_ERROR(SGD({{{a}, {.lr = 1}}, {{b}, {.lr = -1}}}), ArgumentError,
               "sgd: lr is -1, expected a finite number, at least 0");
  SGD sgd({a}, {.lr = 1});
  EXPECT_ERROR(sgd.lr(1), IndexError, "sgd: there is no group 1, expected 0 to 0");
  EXPECT_ERROR(sgd.set_lr(2, 1.0), IndexError, "sgd: there is no group 2, expected 0 to 0");
  EXPECT_ERROR(sgd.scale_lr(NAN), ArgumentError, "sgd: factor of the lr is nan, expected a finite number, at least 0");
  EXPECT_ERROR(RMSprop({a}, {.alpha = 1}), ArgumentError, "rmsprop: alpha is 1, expected a number in [0, 1)");
  EXPECT_ERROR(RMSprop({a}, {.eps = -1}), ArgumentError, "rmsprop: eps is -1, expected a finite number, at least 0");
  EXPECT_ERROR(Adagrad({a}, {.lr_decay = -1}), ArgumentError,
               "adagrad: lr_decay is -1, expected a finite number, at least 0");
  EXPECT_ERROR(AdamW({a}, {.beta1 = 2}), ArgumentError, "adamw: beta1 is 2, expected a number in [0, 1)");
}

// ---- clipping -------------------------------------------------------------------------------------------------------

TEST(Clip, ScalesAllGradientsByTheirCommonNorm) {
  const Tensor a = with_gradient({0, 0}, {3, 0}), b = with_gradient({0}, {4}), none = parameter({1});
  EXPECT_EQ(clip_grad_norm_({a, b, none}, 10).item(), 5);
  EXPECT_EQ(values(a.grad()), (List{3, 0}));
  EXPECT_EQ(clip_grad_norm_({a, b, none}, 1).item(), 5);
  EXPECT_NEAR(values(a.grad())[0], 0.6, 1e-6);
  EXPECT_NEAR(values(b.grad())[0], 0.8, 1e-6);
  EXPECT_NEAR(clip_grad_norm_({a, b}, 0.4, {.infinity_norm = true}).item(), 0.8, 1e-6);
  EXPECT_NEAR(values(b.grad())[0], 0.4, 1e-6);
  EXPECT_EQ(clip_grad_norm_({none}, 1).item(), 0);
}

// Three parameters, the second of which takes part in steps that the others miss.
TEST(Groups, SkippedStepsAreNoSteps) {
  const auto run = [](auto make, bool with_skips) {
    const Tensor a = parameter({1, -2}), b = parameter({3}), c = parameter({0.5});
    const auto optimizer = make(std::vector<Tensor>{a, b, c});
    const auto step = [&](std::vector<Tensor> present, double value, bool skip) {
      if (skip && !with_skips) return;
      optimizer->zero_grad();
      for (Tensor& t : present) t.set_grad(full(t.shape(), value, t.options()));
      const Tensor flag = full({}, skip ? 1.0 : 0.0);
      optimizer->step(with_skips ? StepControl{.factor = full({}, 0.5), .skip = flag}
                                 : StepControl{.factor = full({}, 0.5)});
    };
    step({a, b, c}, 9, true);
    step({a, b, c}, 1, false);
    step({a, c}, 7, true);
    step({a, b}, 2, false);
    step({b}, 5, true);
    for (const double value : {-1.0, 0.5}) step({a, b, c}, value, false);
    std::vector<List> all;
    for (const auto& [name, tensor] : optimizer->state_dict()) all.push_back(values(tensor));
    for (const Tensor& t : {a, b, c}) all.push_back(values(t));
    return all;
  };
  const auto expect_alike = [&](auto make) { EXPECT_EQ(run(make, true), run(make, false)); };
  expect_alike(
      [](auto p) { return std::make_unique<SGD>(p, SgdOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.5}); });
  expect_alike([](auto p) { return std::make_unique<Adam>(p, AdamOptions{.lr = 0.1}); });
  expect_alike([](auto p) { return std::make_unique<RMSprop>(p, RmspropOptions{.lr = 0.1}); });
  expect_alike([](auto p) { return std::make_unique<Adagrad>(p, AdagradOptions{.lr_decay = 0.1, .initial_sum = 1}); });
}

TEST(Groups, SkippedStepsOfSeveralGroupsAreCountedOnce) {
  const auto run = [](bool with_skips) {
    const Tensor a = parameter({1, -2}), b = parameter({3});
    Adam adam({{{a}, {.lr = 0.1}}, {{b}, {.lr = 0.2}}});
    for (const double value : {9.0, 1.0, -2.0, 7.0, 0.5}) {
      const bool skip = value > 5;
      if (skip && !with_skips) continue;
      for (Tensor t : {a, b}) t.set_grad(full(t.shape(), value, t.options()));
      adam.step(with_skips ? StepControl{.skip = full({}, skip ? 1.0 : 0.0)} : StepControl{});
    }
    EXPECT_EQ(adam.state_dict().at("1.step").item(), 3);
    return std::pair(values(a), values(b));
  };
  EXPECT_EQ(run(true), run(false));
}

TEST(Groups, SkipsAfterAStateOfDifferentStepsAreCountedOnce) {
  const Tensor a = parameter({1}), b = parameter({2});
  Adam adam({a, b}, {.lr = 0.1});
  const auto step = [&](std::vector<Tensor> present, double skip) {
    adam.zero_grad();
    for (Tensor& t : present) t.set_grad(full(t.shape(), 1, t.options()));
    adam.step({.skip = full({}, skip)});
  };
  step({a, b}, 0);
  StateDict state;
  for (const auto& [name, tensor] : adam.state_dict())
    state.insert(name, name == "0.step" ? full({}, 7, {.dtype = DType::int64}) : tensor.clone());
  adam.load_state_dict(state);
  for (const double skip : {1.0, 1.0, 0.0}) step({a, b}, skip);
  EXPECT_EQ(adam.state_dict().at("0.step").item(), 8);
  EXPECT_EQ(adam.state_dict().at("1.step").item(), 2);
}

TEST(Groups, AStateOfSkippedStepsGoesOn) {
  const auto made = [](const Tensor& p) {
    return std::make_unique<Adam>(std::vector<Tensor>{p}, AdamOptions{.lr = 0.1});
  };
  const auto step = [](Optimizer& adam, double value, double skip) {
    for (Tensor p : adam.parameters()) p.set_grad(full(p.shape(), value, p.options()));
    adam.step({.skip = full({}, skip)});
  };
  const Tensor p = parameter({1}), q = parameter({1});
  const auto whole = made(p), resumed = made(q);
  step(*resumed, 4, 0), step(*resumed, 4, 1);  // what was there before is overwritten
  step(*whole, 3, 1);
  EXPECT_EQ(whole->state_dict().at("0.step").item(), 0);
  for (const double skip : {0.0, 1.0, 0.0}) {
    resumed->load_state_dict(whole->state_dict().clone());
    Tensor(q).set_data(p.detach().clone());
    step(*whole, 1.5, skip), step(*resumed, 1.5, skip);
    EXPECT_EQ(values(q), values(p));
    EXPECT_EQ(resumed->state_dict().at("0.step").item(), whole->state_dict().at("0.step").item());
  }
  EXPECT_EQ(whole->state_dict().at("0.step").item(), 2);
}

TEST(Clip, MixedTypesAgreeWithAPlainLoop) {
  manual_seed(2);
  std::vector<Tensor> parameters;
  double squares = 0;
  for (const DType type : {DType::float32, DType::bfloat16, DType::float16}) {
    parameters.push_back(zeros({5, 7}, {.dtype = type, .requires_grad = true}));
    parameters.back().set_grad(randn({5, 7}).to(type));
    for (const double g : values(parameters.back().grad())) squares += g * g;
  }
  const double norm = std::sqrt(squares), factor = 2 / (norm + 1e-6);
  std::vector<List> before;
  for (const Tensor& p : parameters) before.push_back(values(p.grad()));
  EXPECT_NEAR(clip_grad_norm_(parameters, 2).item(), norm, 1e-6 * norm);
  for (size_t i = 0; i < parameters.size(); ++i)
    for (size_t k = 0; k < 35; ++k)
      EXPECT_NEAR(values(parameters[i].grad())[k], factor * before[i][k], i == 0 ? 1e-6 : 4e-3) << i;
}

TEST(Clip, LimitsElements) {
  const Tensor a = with_gradient({0, 0, 0}, {3, -4, 0.5});
  clip_grad_value_({a, parameter({1})}, 2);
  EXPECT_EQ(values(a.grad()), (List{2, -2, 0.5}));
}

TEST(Clip, RefusesWhatMakesNoSense) {
  const Tensor a = with_gradient({0, 0}, {INFINITY, 1});
  EXPECT_ERROR(clip_grad_norm_({a}, 1, {.error_if_nonfinite = true}), ArgumentError,
               "clip_grad_norm_: the norm of the gradients is inf, expected a finite number");
  EXPECT_EQ(values(a.grad()), (List{INFINITY, 1}));
  EXPECT_ERROR(clip_grad_norm_({a}, 0), ArgumentError, "clip_grad_norm_: max_norm is 0, expected a positive number");
  EXPECT_ERROR(clip_grad_value_({a}, -1), ArgumentError,
               "clip_grad_value_: the limit is -1, expected a positive number");
}

// ---- averages -------------------------------------------------------------------------------------------------------

TEST(Ema, AveragesNumbersAndCopiesCounters) {
  Tensor weight = parameter({1, 2}), counter = zeros({}, {.dtype = DType::int64});
  const StateDict tensors{{"weight", weight}, {"counter", counter}};
  Ema ema(tensors, {.decay = 0.75});
  {
    NoGrad no_grad;
    weight.copy_(tensor({5, 6}, {2}, {.dtype = DType::float64}));
    counter.fill_(3);
  }
  ema.update();
  EXPECT_EQ(values(ema.state_dict().at("weight")), (List{2, 3}));
  EXPECT_EQ(values(ema.state_dict().at("counter")), (List{3}));
  ema.swap();
  EXPECT_EQ(values(weight), (List{2, 3}));
  ema.swap();
  EXPECT_EQ(values(weight), (List{5, 6}));
  EXPECT_TRUE(weight.requires_grad());

  Ema other(tensors);
  other.load_state_dict(ema.state_dict());
  EXPECT_EQ(values(other.state_dict().at("weight")), (List{2, 3}));
}

TEST(Ema, ATensorOfTwoNamesIsAveragedAndExchangedOnce) {
  const Tensor weight = tensor({4});
  Ema ema({{"encoder", weight}, {"decoder", weight}}, {.decay = 0.5});
  {
    NoGrad no_grad;
    Tensor(weight).fill_(8);
  }
  ema.update();
  EXPECT_EQ(values(ema.state_dict().at("encoder")), (List{6}));
  EXPECT_EQ(values(ema.state_dict().at("decoder")), (List{6}));
  ema.swap();
  EXPECT_EQ(values(weight), (List{6}));
  ema.swap();
  EXPECT_EQ(values(weight), (List{8}));
}

TEST(Ema, NamesWhatDoesNotFit) {
  Ema ema({{"weight", zeros({2})}});
  EXPECT_ERROR(Ema({}, {.decay = 1}), ArgumentError, "Ema: decay is 1, expected a number in [0, 1)");
  EXPECT_ERROR(ema.load_state_dict({}), ArgumentError, "Ema: the state has no 'weight'");
  EXPECT_ERROR(ema.load_state_dict({{"weight", zeros({3})}}), ArgumentError,
               "Ema: 'weight' of the state has shape [3], expected [2]");
  EXPECT_ERROR(ema.load_state_dict({{"weight", zeros({2})}, {"bias", zeros({2})}}), ArgumentError,
               "Ema: 'bias' of the state is unexpected");
}

// ---- what they are for ----------------------------------------------------------------------------------------------

// Rosenbrock's valley: (1 - x)^2 + 100 (y - x^2)^2, smallest at (1, 1).
TEST(Optimizers, FindTheEndOfAValley) {
  using Make = std::function<std::unique_ptr<Optimizer>(std::vector<Tensor>)>;
  const std::vector<std::pair<const char*, Make>> all{
      {"sgd", [](auto p) { return std::make_unique<SGD>(p, SgdOptions{.lr = 2e-4, .momentum = 0.95}); }},
      {"nesterov",
       [](auto p) { return std::make_unique<SGD>(p, SgdOptions{.lr = 2e-4, .momentum = 0.95, .nesterov = true}); }},
      {"adam", [](auto p) { return std::make_unique<Adam>(p, AdamOptions{.lr = 0.02}); }},
      {"adamw", [](auto p) { return std::make_unique<AdamW>(p, AdamWOptions{.lr = 0.02, .weight_decay = 0}); }},
      {"rmsprop", [](auto p) { return std::make_unique<RMSprop>(p, RmspropOptions{.lr = 1e-3, .momentum = 0.5}); }},
      {"adagrad", [](auto p) { return std::make_unique<Adagrad>(p, AdagradOptions{.lr = 0.5}); }}};
  for (const auto& [name, make] : all) {
    const Tensor x = parameter({-0.5}), y = parameter({0.5});
    const auto optimizer = make({x, y});
    for (int step = 0; step < 4000; ++step) {
      optimizer->zero_grad();
      (square(1 - x) + 100 * square(y - square(x))).sum().backward();
      optimizer->step();
    }
    EXPECT_NEAR(values(x)[0], 1, 0.1) << name;
    EXPECT_NEAR(values(y)[0], 1, 0.2) << name;
  }
}

}  // namespace
}  // namespace dnn::test
