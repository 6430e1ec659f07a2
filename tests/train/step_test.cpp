// How the Trainer makes steps: learning rates, accumulated and clipped gradients, sums that survive an evaluation.
#include <gmock/gmock.h>

#include <cmath>

#include "tests/train/toys.h"

namespace dnn {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::ThrowsMessage;

TEST(Trainer, SchedulesTheLearningRate) {
  Sequential net = line_net(0.5);
  DataLoader loader(line_data(), {.batch_size = 2});
  std::vector<double> progress, rates;
  auto watch = std::make_shared<AfterStep>([&](Trainer& trainer) { rates.push_back(trainer.optimizer().lr()); });
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                  {.epochs = 2,
                   .loss = squared_error,
                   .lr_schedule =
                       [&](double p) {
                         progress.push_back(p);
                         return 1 - p;
                       },
                   .progress = Progress::off,
                   .callbacks = {watch}});
  const History history = trainer.fit(loader);
  EXPECT_THAT(progress, ElementsAre(0, 0.25, 0.5, 0.75));
  EXPECT_THAT(rates, testing::Each(0.1));  // the optimizer's own rate is untouched between steps
  EXPECT_EQ(history[0].lr, 0.1 * 0.75);
  EXPECT_EQ(history[1].lr, 0.1 * 0.25);
}

// The rates of the steps of two epochs of two steps.
std::vector<double> rates(LrSchedule schedule, std::vector<std::shared_ptr<Callback>> callbacks = {}) {
  Sequential net = line_net(0.5);
  DataLoader loader(line_data(), {.batch_size = 2});
  std::vector<double> rates;
  // The optimizer has the scaled rate only during the step itself, so the step tells: w' = w - lr * gradient.
  double before = 0.5;
  callbacks.push_back(std::make_shared<AfterStep>([&](Trainer& trainer) {
    const double after = net.parameters()[0].item();
    rates.push_back((before - after) / net.parameters()[0].grad().item());
    before = after;
    EXPECT_EQ(trainer.optimizer().lr(), 0.01);
  }));
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.01}),
                  {.epochs = 2,
                   .loss = squared_error,
                   .lr_schedule = std::move(schedule),
                   .progress = Progress::off,
                   .callbacks = callbacks});
  trainer.fit(loader);
  for (double& rate : rates) rate = std::round(1e5 * rate) / 1e3;  // in percent of 1
  return rates;
}

TEST(LrSchedule, IsAFunctionOfProgressStepOrEpoch) {
  EXPECT_THAT(rates([](double progress) { return 1 - progress; }), ElementsAre(1, 0.75, 0.5, 0.25));
  EXPECT_THAT(rates([](int64_t step) { return static_cast<double>(step); }), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(rates(StepDecay{.every = 1, .gamma = 0.5}), ElementsAre(1, 0.5, 0.25, 0.125));
  EXPECT_THAT(rates(Schedule(StepDecay{.every = 2, .gamma = 0.5})), ElementsAre(1, 1, 0.5, 0.5));
  EXPECT_THAT(rates(per_epoch(StepDecay{.every = 1, .gamma = 0.5})), ElementsAre(1, 1, 0.5, 0.5));
  EXPECT_THAT(rates(LrSchedule([](const RunPosition& at) { return at.progress < 0.5 ? 1.0 : 3.0; })),
              ElementsAre(1, 1, 3, 3));
  EXPECT_THAT(rates({}), ElementsAre(1, 1, 1, 1));
  EXPECT_FALSE(LrSchedule());
}

TEST(LrSchedule, MultipliesWithCallbacks) {
  EXPECT_THAT(rates([](double progress) { return 1 - progress; },
                    {std::make_shared<LearningRateSchedule>(per_epoch(ExponentialDecay{.gamma = 2}))}),
              ElementsAre(1, 0.75, 1, 0.5));
}

TEST(LrSchedule, MultipliesWithTheFactorOfTheOptimizer) {
  Sequential net = line_net(0.5);
  DataLoader loader(line_data(), {.batch_size = 2});
  SGD sgd(net.parameters(), {.lr = 0.04});
  LrScheduler own(sgd, [](int64_t epoch) { return epoch == 0 ? 0.5 : 0.25; });
  class StepEachEpoch : public Callback {
   public:
    explicit StepEachEpoch(LrScheduler& scheduler) : scheduler_(scheduler) {}
    void on_epoch_end(Trainer&, const EpochStats&) override { scheduler_.step(); }

   private:
    LrScheduler& scheduler_;
  };
  Trainer trainer(net, sgd,
                  {.epochs = 2,
                   .loss = squared_error,
                   .lr_schedule = [](double progress) { return 1 - progress; },
                   .progress = Progress::off,
                   .callbacks = {std::make_shared<StepEachEpoch>(own)}});
  const History history = trainer.fit(loader);
  EXPECT_DOUBLE_EQ(history[0].lr, 0.02 * 0.75);
  EXPECT_DOUBLE_EQ(history[1].lr, 0.01 * 0.25);
  EXPECT_EQ(sgd.lr(), 0.01);
}

TEST(LrSchedule, RefusesNoFunctionAndBadFactors) {
  EXPECT_THAT([] { LearningRateSchedule schedule{LrSchedule()}; },
              ThrowsMessage<ArgumentError>("learning_rate_schedule: the schedule is empty, expected a function"));
  EXPECT_THAT([] { per_epoch(Schedule()); },
              ThrowsMessage<ArgumentError>("per_epoch: the schedule is empty, expected a function of the epoch"));
  EXPECT_THAT([] { rates([](double) { return -1.0; }); },
              ThrowsMessage<ArgumentError>("trainer: the factor of the learning rate is -1, expected >= 0"));
}

// The weights after two epochs, in which the last batch is smaller.
std::vector<double> after_steps_of(int64_t batch_size, int64_t accumulate, int64_t* steps = nullptr) {
  manual_seed(3);
  Sequential net(Flatten(), Linear(64, 10));
  DataLoader train(random_images(27, 8), {.batch_size = batch_size, .shuffle = true});
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1, .momentum = 0.9}),
                  {.epochs = 2, .accumulate = accumulate, .progress = Progress::off});
  const History history = trainer.fit(train);
  if (steps) *steps = trainer.step();
  std::vector<double> result = numbers(net.state_dict());
  for (const EpochStats& stats : history) result.insert(result.end(), {stats.loss, stats.accuracy});
  return result;
}

TEST(Trainer, AccumulatesTheGradientOfALargerBatch) {
  int64_t steps = 0;
  const std::vector<double> large = after_steps_of(16, 1), small = after_steps_of(4, 4, &steps);
  EXPECT_EQ(steps, 4);  // batches of 4 4 4 4 | 4 4 3, twice
  ASSERT_EQ(large.size(), small.size());
  for (size_t i = 0; i < large.size(); ++i) ASSERT_NEAR(large[i], small[i], 1e-6) << i;
}

// One step from w = 0.5 with the gradient 2 (w - 1) mean(x^2) = -14 / 3.
TEST(Trainer, ClipsTheNormOfTheGradients) {
  for (const auto& [limit, step] : {std::pair{0.0, 14.0 / 3}, {10.0, 14.0 / 3}, {2.0, 2.0}}) {
    Sequential net = line_net(0.5);
    DataLoader loader(line_data());
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                    {.loss = squared_error, .clip_norm = limit, .progress = Progress::off});
    trainer.fit(loader);
    EXPECT_NEAR(net.parameters()[0].item(), 0.5 + 0.1 * step, 1e-6) << limit;
  }
}

TEST(Trainer, AnEvaluationInsideAnEpochLeavesItsNumbersAlone) {
  const auto losses = [](bool evaluate) {
    Sequential net = identity_net();
    const TensorDataset data(tensor({1, 0, 0, 1, 1, 0}, {3, 2}), from_values<int64_t>({0, 1, 1}, {3}));
    DataLoader loader(data, {.batch_size = 1});
    class Named : public Accuracy {
      std::string name() const override { return "mine"; }
    };
    auto peek = std::make_shared<AfterStep>([&](Trainer& trainer) {
      if (evaluate) {
        EXPECT_EQ(trainer.evaluate(loader).metrics.at("mine"), 2.0 / 3);
      }
    });
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0}),
                    {.metrics = {std::make_shared<Named>()}, .progress = Progress::off, .callbacks = {peek}});
    const History history = trainer.fit(loader);
    return std::vector<double>{history[0].loss, history[0].accuracy, history[0].metrics.at("mine")};
  };
  EXPECT_EQ(losses(true), losses(false));
}

}  // namespace
}  // namespace dnn
