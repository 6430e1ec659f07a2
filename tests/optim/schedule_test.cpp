// Schedules: their numbers, their state, their messages. tests/torch compares them with PyTorch.
#include "dnn/optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "dnn/ops.h"
#include "dnn/optim/sgd.h"
#include "tests/harness/errors.h"

namespace dnn::test {
namespace {

std::vector<double> first(const Schedule& schedule, int64_t steps) {
  std::vector<double> factors;
  for (int64_t i = 0; i < steps; ++i) factors.push_back(schedule(i));
  return factors;
}

void expect_near(const std::vector<double>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-12) << i;
}

SGD optimizer() { return SGD({zeros({1}, {.requires_grad = true})}, {.lr = 2}); }

TEST(Schedule, ClosedForms) {
  expect_near(first(ConstantRate{.factor = 0.5}, 2), {0.5, 0.5});
  expect_near(first(StepDecay{.every = 2, .gamma = 0.5}, 5), {1, 1, 0.5, 0.5, 0.25});
  expect_near(first(MultiStepDecay{.milestones = {1, 3}}, 5), {1, 0.1, 0.1, 0.01, 0.01});
  expect_near(first(ExponentialDecay{.gamma = 0.5}, 3), {1, 0.5, 0.25});
  expect_near(first(PolynomialDecay{.steps = 4}, 6), {1, 0.75, 0.5, 0.25, 0, 0});
  expect_near(first(CosineDecay{.steps = 2, .min = 0.2}, 4), {1, 0.6, 0.2, 0.2});
  expect_near(first(LinearWarmup{.steps = 2, .start = 0.5, .then = ExponentialDecay{.gamma = 0.5}}, 5),
              {0.5, 0.75, 1, 0.5, 0.25});
  const std::vector<double> cycle = first(OneCycle{.steps = 10, .pct_start = 0.5}, 12);
  EXPECT_NEAR(cycle[0], 1.0 / 25, 1e-12);
  EXPECT_NEAR(cycle[4], 1, 1e-12);
  EXPECT_NEAR(cycle[9], 1.0 / 25e4, 1e-12);
  EXPECT_EQ(cycle[11], cycle[9]);
}

TEST(Schedule, ExtremesOfOneCycle) {
  for (const double value : first(OneCycle{.steps = 1}, 3)) EXPECT_TRUE(std::isfinite(value));
  expect_near(first(OneCycle{.steps = 4, .pct_start = 0, .final_div_factor = 1}, 1), {1});
  EXPECT_EQ(OneCycle({.steps = 4, .pct_start = 1})(3), 1);
}

TEST(LrScheduler, GoesOnWhereItWas) {
  SGD sgd = optimizer();
  LrScheduler scheduler(sgd, ExponentialDecay{.gamma = 0.5});
  EXPECT_EQ(sgd.lr(), 2);
  scheduler.step(), scheduler.step();
  EXPECT_EQ(sgd.lr(), 0.5);
  SGD other = optimizer();
  LrScheduler resumed(other, ExponentialDecay{.gamma = 0.5});
  resumed.load_state_dict(scheduler.state_dict());
  EXPECT_EQ(resumed.current(), 2);
  EXPECT_EQ(other.lr(), 0.5);
  resumed.step();
  EXPECT_EQ(other.lr(), 0.25);
}

TEST(ReduceOnPlateau, WaitsReducesAndCools) {
  ReduceOnPlateau plateau({.factor = 0.5, .patience = 1, .cooldown = 1, .min_factor = 0.2});
  std::vector<double> factors;
  for (const double loss : std::vector<double>{3, 2, 2, 2, 2, 2, 2, 2}) factors.push_back(plateau.step(loss));
  expect_near(factors, {1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25});
  ReduceOnPlateau other({.factor = 0.5, .patience = 1, .cooldown = 1, .min_factor = 0.2});
  other.load_state_dict(plateau.state_dict());
  for (const double loss : std::vector<double>{2, 2, 1, NAN, NAN, 2}) EXPECT_EQ(plateau.step(loss), other.step(loss));
  EXPECT_EQ(plateau.factor(), 0.2);

  ReduceOnPlateau rising({.maximize = true, .factor = 0.5, .patience = 0});
  EXPECT_EQ(rising.step(0.5), 1);
  EXPECT_EQ(rising.step(0.6), 1);
  EXPECT_EQ(rising.step(0.6), 0.5);
}

TEST(ReduceOnPlateau, GoesOnAtItsRateWhereTheOptimizerDoes) {
  ReduceOnPlateau plateau({.factor = 0.5, .patience = 0});
  SGD sgd = optimizer(), other = optimizer();
  for (const double loss : std::vector<double>{1, 1}) sgd.scale_lr(plateau.step(loss));
  EXPECT_EQ(sgd.lr(), 1);
  other.load_state_dict(sgd.state_dict());
  EXPECT_EQ(other.lr(), 1);
}

TEST(Schedule, BadOptionsAreNamed) {
  EXPECT_ERROR(StepDecay({.every = 0})(1), ArgumentError, "StepDecay: steps is 0, expected at least 1");
  EXPECT_ERROR(CosineDecay({.steps = -1})(1), ArgumentError, "CosineDecay: steps is -1, expected at least 1");
  EXPECT_ERROR(OneCycle({.steps = 5, .pct_start = 2})(1), ArgumentError, "OneCycle: pct_start is 2, expected 0 to 1");
  EXPECT_ERROR(OneCycle({.steps = 5, .div_factor = 0})(1), ArgumentError,
               "OneCycle: the divisors are 0 and 10000, expected positive numbers");
  EXPECT_ERROR(ReduceOnPlateau({.factor = 1}), ArgumentError,
               "ReduceOnPlateau: factor is 1, expected a number in [0, 1)");
  EXPECT_ERROR(ReduceOnPlateau({.patience = -1}), ArgumentError,
               "ReduceOnPlateau: patience is -1 and cooldown 0, expected at least 0");
  SGD sgd = optimizer();
  EXPECT_ERROR(LrScheduler(sgd, {}), ArgumentError,
               "LrScheduler: the schedule is empty, expected a function of the step");
  LrScheduler scheduler(sgd, ConstantRate{});
  EXPECT_ERROR(scheduler.load_state_dict({}), ArgumentError, "LrScheduler: the state has no number 'step'");
  EXPECT_ERROR(scheduler.load_state_dict({{"step", full({}, -1)}}), ArgumentError,
               "LrScheduler: 'step' of the state is -1, expected a count");
}

}  // namespace
}  // namespace dnn::test
