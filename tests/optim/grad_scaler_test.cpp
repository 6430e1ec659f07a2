// The scale of the loss: when it grows and shrinks, which steps it lets through, and how it goes on from a state.
#include "dnn/optim/grad_scaler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "dnn/optim.h"
#include "tests/harness/errors.h"

namespace dnn::test {
namespace {

using List = std::vector<double>;

List values(const Tensor& t) { return t.detach().to(DType::float64).to_vector<double>(); }
Tensor parameter(const List& list) {
  return from_values(list, {static_cast<int64_t>(list.size())}).to(DType::float32).set_requires_grad(true);
}
const GradScalerOptions quick{.initial_scale = 8, .growth = 4, .backoff = 0.25, .interval = 2};

// A step on value * sum(p), with a loss that is scaled.
void descend(GradScaler& scaler, Optimizer& optimizer, double value, bool multiplied = true) {
  optimizer.zero_grad();
  const Tensor loss = optimizer.parameters()[0].sum() * value;
  multiplied ? scaler.scale(loss).backward() : scaler.backward(loss);
  scaler.step(optimizer);
  scaler.update();
}

TEST(GradScaler, TakesItsFactorOffAndSkipsWhatOverflowed) {
  for (const bool multiplied : {true, false}) {
    const Tensor p = parameter({1, 2});
    SGD sgd({p}, {.lr = 0.5});
    GradScaler scaler(quick);
    EXPECT_EQ(scaler.factor(), 8);
    descend(scaler, sgd, 1, multiplied);
    EXPECT_EQ(values(p), (List{0.5, 1.5}));
    EXPECT_EQ(values(p.grad()), (List{8, 8})) << "gradients stay scaled";
    EXPECT_EQ(scaler.factor(), 8);
    descend(scaler, sgd, 1, multiplied);
    EXPECT_EQ(values(p), (List{0, 1}));
    EXPECT_EQ(scaler.factor(), 32) << "two good steps in a row";
    for (const double bad : {INFINITY, NAN}) {
      descend(scaler, sgd, bad, multiplied);
      EXPECT_EQ(values(p), (List{0, 1}));
    }
    EXPECT_EQ(scaler.factor(), 2);
    descend(scaler, sgd, 2, multiplied);
    EXPECT_EQ(values(p), (List{-1, 0}));
    EXPECT_EQ(scaler.factor(), 2);
  }
}

TEST(GradScaler, DefaultsArePyTorchs) {
  const GradScalerOptions options;
  EXPECT_EQ(options.initial_scale, 65536);
  EXPECT_EQ(options.growth, 2);
  EXPECT_EQ(options.backoff, 0.5);
  EXPECT_EQ(options.interval, 2000);
}

TEST(GradScaler, SkippedStepsDoNotCountForAdam) {
  const Tensor p = parameter({1}), q = parameter({1});
  Adam adam({p}, {.lr = 0.1}), plain({q}, {.lr = 0.1});
  GradScaler scaler(quick), without({.enabled = false});
  for (const double value : {1.0, double(INFINITY), 3.0, double(NAN), -2.0}) {
    descend(scaler, adam, value);
    if (std::isfinite(value)) descend(without, plain, value);
  }
  EXPECT_NEAR(values(p)[0], values(q)[0], 1e-7);
  EXPECT_EQ(adam.state_dict().at("0.step").item(), 3);
}

TEST(GradScaler, ClipsTheGradientsWithoutTheScale) {
  const auto expect = [](auto step) {
    const Tensor p = parameter({0, 0});
    SGD sgd({p}, {.lr = 1});
    GradScaler scaler(quick);
    scaler.scale((p * from_values(List{3, 4}, {2}).to(DType::float32)).sum()).backward();
    step(scaler, sgd, p);
    scaler.update();
    EXPECT_NEAR(values(p)[0], -0.6, 1e-6);
    EXPECT_NEAR(values(p)[1], -0.8, 1e-6);
  };
  expect([](GradScaler& scaler, SGD& sgd, const Tensor&) { scaler.step(sgd, {.clip_norm = 1}); });
  expect([](GradScaler& scaler, SGD& sgd, const Tensor& p) {
    scaler.unscale_(sgd);
    EXPECT_EQ(values(p.grad()), (List{3, 4}));
    EXPECT_EQ(clip_grad_norm_({p}, 1).item(), 5);
    scaler.step(sgd);
  });
  const Tensor p = parameter({0, 0});
  SGD sgd({p}, {.lr = 1});
  GradScaler off({.enabled = false});
  off.backward((p * from_values(List{3, 4}, {2}).to(DType::float32)).sum());
  off.step(sgd, {.clip_norm = 1}), off.update();
  EXPECT_NEAR(values(p)[1], -0.8, 1e-6);
}

TEST(GradScaler, UnscaledGradientsOfFloat16KeepTheirSmallestDigits) {
  Tensor p = parameter({0});
  SGD sgd({p}, {.lr = 1});
  GradScaler scaler({.initial_scale = 65536});
  scaler.scale(p.sum());
  p.set_grad(from_values(List{3 * 0x1p-20}, {1}).to(DType::float16));
  scaler.unscale_(sgd);
  EXPECT_EQ(p.grad().dtype(), DType::float32);
  EXPECT_EQ(values(p.grad()), List{3 * 0x1p-36});
}

TEST(GradScaler, OneScaleServesSeveralOptimizers) {
  const Tensor p = parameter({1}), q = parameter({1});
  SGD first({p}, {.lr = 0.5}), second({q}, {.lr = 0.5});
  GradScaler scaler(quick);
  scaler.scale(p.sum() + q.sum() * INFINITY).backward();
  scaler.step(first), scaler.step(second), scaler.update();
  EXPECT_EQ(values(p), List{0.5});
  EXPECT_EQ(values(q), List{1});
  EXPECT_EQ(scaler.factor(), 2);
}

TEST(GradScaler, GoesOnFromAState) {
  const Tensor p = parameter({1});
  SGD sgd({p}, {.lr = 0.5});
  GradScaler scaler(quick), other(quick);
  for (int i = 0; i < 3; ++i) descend(scaler, sgd, 1);
  other.load_state_dict(scaler.state_dict().clone());
  EXPECT_EQ(other.factor(), 32);
  descend(other, sgd, 1);
  EXPECT_EQ(other.factor(), 128) << "the fourth good step";
  EXPECT_ERROR(other.load_state_dict({}), ArgumentError, "grad_scaler: the state has no 'scale'");
  const Tensor one = ones({});
  EXPECT_ERROR(other.load_state_dict({{"scale", one}, {"streak", ones({2})}}), ArgumentError,
               "grad_scaler: 'streak' of the state has shape [2], expected []");
  EXPECT_ERROR(other.load_state_dict({{"scale", zeros({})}, {"streak", one}}), ArgumentError,
               "grad_scaler: the scale of the state is 0, expected a positive number of float32");
  EXPECT_ERROR(other.load_state_dict({{"scale", one}, {"streak", full({}, -1)}}), ArgumentError,
               "grad_scaler: the streak of the state is -1, expected a count");
  EXPECT_EQ(other.factor(), 128);
}

TEST(GradScaler, RefusesWhatIsOutOfOrder) {
  Tensor p = parameter({1});
  SGD sgd({p}, {.lr = 0.5});
  GradScaler scaler(quick);
  EXPECT_ERROR(scaler.step(sgd), ArgumentError,
               "grad_scaler: step before any loss was scaled, expected scale or backward first");
  EXPECT_ERROR(scaler.unscale_(sgd), ArgumentError,
               "grad_scaler: unscale_ before any loss was scaled, expected scale or backward first");
  EXPECT_ERROR(scaler.update(), ArgumentError, "grad_scaler: update without a step before it, expected one");
  EXPECT_ERROR(scaler.backward(p * ones({2})), ArgumentError,
               "grad_scaler: the loss has 2 elements, expected 1 (shape [2])");
  const Tensor loss = scaler.scale(p.sum());
  EXPECT_ERROR(scaler.step(sgd), ArgumentError,
               "grad_scaler: step for parameters without gradients, expected a backward pass before");
  loss.backward();
  EXPECT_ERROR(scaler.step(sgd, {.clip_norm = -1}), ArgumentError,
               "grad_scaler: clip_norm is -1, expected a positive number, or 0 for none");
  scaler.unscale_(sgd);
  EXPECT_ERROR(scaler.unscale_(sgd), ArgumentError,
               "grad_scaler: unscale_ after unscale_ of the same optimizer, expected update between them");
  EXPECT_ERROR(scaler.step(sgd, {.clip_norm = 1}), ArgumentError,
               "grad_scaler: clip_norm is 1 after unscale_, expected clip_grad_norm_ between the two");
  scaler.step(sgd);
  EXPECT_ERROR(scaler.step(sgd), ArgumentError,
               "grad_scaler: step after step of the same optimizer, expected update between them");
  EXPECT_ERROR(scaler.unscale_(sgd), ArgumentError,
               "grad_scaler: unscale_ after step of the same optimizer, expected update between them");
  EXPECT_ERROR(GradScaler({.initial_scale = 0}), ArgumentError,
               "grad_scaler: initial_scale is 0, expected a positive number of float32");
  EXPECT_ERROR(GradScaler({.growth = 1}), ArgumentError, "grad_scaler: growth is 1, expected a number above 1");
  EXPECT_ERROR(GradScaler({.backoff = 1}), ArgumentError,
               "grad_scaler: backoff is 1, expected a number between 0 and 1");
  EXPECT_ERROR(GradScaler({.interval = 0}), ArgumentError, "grad_scaler: interval is 0, expected 1 to 2147483647");
}

}  // namespace
}  // namespace dnn::test
