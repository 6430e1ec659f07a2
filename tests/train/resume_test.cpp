// Runs that are stopped at random steps and resumed by a fresh Trainer: equal to the uninterrupted run, bit for bit.
#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <random>

#include "tests/core/failing_file_system.h"
#include "tests/train/toys.h"

namespace dnn {
namespace {

using namespace test;
using testing::ThrowsMessage;

// What a run leaves behind: every number of it that does not depend on how fast the machine is.
struct Left {
  std::vector<double> net, optimizer, history, averages, callbacks;
  int64_t step = 0;
  uint64_t random = 0;
  bool operator==(const Left&) const = default;
};

constexpr int64_t epochs = 4, steps_per_epoch = 4;

// A process of its own in all but name: everything is made anew, then trains until the step `stop_at`.
Left train(const std::string& checkpoint, bool resume, std::optional<int64_t> stop_at) {
  manual_seed(resume ? 77 : 5);  // a new process would draw other weights
  Sequential net = small_net();
  DataLoader data(
      TransformedDataset(random_images(50, 8), {RandomCrop(8, {.padding = 2}), RandomHorizontalFlip()}),
      {.batch_size = 7, .shuffle = true, .seed = 1, .threads = 2, .batch_transforms = {Mixup(10, {.p = 0.5})}});
  DataLoader validation(random_images(30, 8, 6), {.batch_size = 16, .threads = 2});
  auto clock = std::make_shared<StepClock>(0.5);
  auto average = std::make_shared<AverageWeights>(AverageWeightsOptions{.decay = 0.8, .start = 3});
  auto early = std::make_shared<EarlyStopping>(EarlyStoppingOptions{.patience = 3, .restore_best = true});
  auto plateau = std::make_shared<ReduceLrOnPlateau>(ReduceLrOptions{.factor = 0.7, .patience = 0, .threshold = 0.05});
  auto stop = std::make_shared<AfterStep>([&](Trainer& trainer) {
    if (stop_at && trainer.step() == *stop_at) trainer.stop();
  });
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.05, .momentum = 0.9, .weight_decay = 1e-3}),
                  {.epochs = epochs,
                   .metrics = {std::make_shared<ConfusionMatrix>(), std::make_shared<F1>()},
                   .lr_schedule = LinearWarmup{.steps = 5, .then = CosineDecay{.steps = 11}},
                   .accumulate = 2,
                   .clip_norm = 0.5,
                   .progress = Progress::off,
                   .checkpoint = checkpoint,
                   .callbacks = {clock, average, early, plateau, std::make_shared<StopOnNaN>(), stop},
                   .clock = clock->clock()});
  if (resume) trainer.resume(checkpoint);
  Left left;
  for (const EpochStats& stats : trainer.fit(data, validation)) {
    left.history.insert(left.history.end(), {double(stats.epoch), stats.loss, stats.accuracy, stats.val_loss,
                                             stats.val_accuracy, stats.lr, stats.seconds, stats.samples_per_second});
    for (const auto& metrics : {stats.metrics, stats.val_metrics})
      for (const auto& [name, value] : metrics) left.history.push_back(value);
  }
  for (double& x : left.history) x = std::isnan(x) ? -1 : x;  // which are equal then
  left.net = numbers(net.state_dict());
  left.optimizer = numbers(trainer.optimizer().state_dict());
  left.averages = numbers(average->averages());
  left.callbacks = numbers(early->state_dict());
  for (const double x : numbers(plateau->state_dict())) left.callbacks.push_back(x);
  left.step = trainer.step();
  left.random = default_generator().offset();
  return left;
}

// Few rounds by default; all of them with DNN_FULL_ROUNDS=1.
int rounds(int few, int all) {
  const char* full = std::getenv("DNN_FULL_ROUNDS");
  return full && std::string(full) == "1" ? all : few;
}

TEST(Resume, GivesTheRunThatWasInterruptedBitForBit) {
  const TemporaryFolder folder;
  const Left whole = train(folder / "whole", false, std::nullopt);
  EXPECT_EQ(whole.step, epochs * steps_per_epoch);
  std::mt19937_64 random(1);
  for (int round = 0; round < rounds(5, 20); ++round) {
    // One to three stops, each in a part of its own, at the end of an epoch too.
    std::string stops;
    int64_t at = 0;
    bool resume = false;
    for (uint64_t i = 0, n = 1 + random() % 3; i < n; ++i) {
      at += 1 + static_cast<int64_t>(random() % 5);
      stops += " " + std::to_string(at);
      const Left part = train(folder / "cut", resume, at);
      ASSERT_EQ(part.step, at);
      ASSERT_EQ(part.history.size(), static_cast<size_t>(12 * (at / steps_per_epoch)));
      resume = true;
    }
    const Left resumed = train(folder / "cut", true, std::nullopt);
    EXPECT_EQ(resumed.net, whole.net) << "stopped after steps" << stops;
    EXPECT_EQ(resumed.optimizer, whole.optimizer) << "stopped after steps" << stops;
    EXPECT_EQ(resumed.history, whole.history) << "stopped after steps" << stops;
    EXPECT_EQ(resumed.averages, whole.averages) << "stopped after steps" << stops;
    EXPECT_EQ(resumed.callbacks, whole.callbacks) << "stopped after steps" << stops;
    EXPECT_TRUE(resumed == whole) << "stopped after steps" << stops;
  }
  EXPECT_EQ(folder.count(), 2);
}

TEST(Resume, OfACompleteRunDoesNothing) {
  const TemporaryFolder folder;
  Sequential net = line_net(0.5);
  DataLoader loader(line_data());
  const TrainerOptions options{
      .epochs = 2, .loss = squared_error, .progress = Progress::off, .checkpoint = folder / "x"};
  Trainer(net, SGD(net.parameters(), {.lr = 0.1}), options).fit(loader);
  const std::vector<double> weights = numbers(net.state_dict());
  Trainer again(net, SGD(net.parameters(), {.lr = 0.1}), options);
  again.resume(folder / "x");
  EXPECT_EQ(again.fit(loader).size(), 2u);
  EXPECT_EQ(numbers(net.state_dict()), weights);
  EXPECT_EQ(again.fit(loader).size(), 4u);  // without resume: two more
}

TEST(Resume, RefusesAPositionBeyondTheLoader) {
  const TemporaryFolder folder;
  Sequential net = line_net(0.5);
  const SGD sgd(net.parameters(), {.lr = 0.1});
  save_checkpoint(folder / "x", net, sgd, {.batch = 5});
  DataLoader loader(line_data());
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}), {.loss = squared_error, .progress = Progress::off});
  trainer.resume(folder / "x");
  EXPECT_THROW(trainer.fit(loader), ArgumentError);
}

// A checkpoint that was written after the last step of an epoch, before its validation.
TEST(Resume, GoesOnBetweenTheLastStepAndTheValidation) {
  const TemporaryFolder folder;
  const auto fit = [&](bool resume) {
    Sequential net = line_net(0.5);
    DataLoader loader(line_data(), {.batch_size = 2});
    auto save = std::make_shared<AfterStep>([&](Trainer& trainer) {
      if (trainer.step() == 2) trainer.save(folder / "x");
    });
    auto clock = std::make_shared<StepClock>(0.5);
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                    {.epochs = 2,
                     .loss = squared_error,
                     .progress = Progress::off,
                     .callbacks = {save, clock},
                     .clock = clock->clock()});
    if (resume) trainer.resume(folder / "x");
    const History history = trainer.fit(loader, loader);
    std::vector<double> result = numbers(net.state_dict());
    for (const EpochStats& stats : history)
      result.insert(result.end(), {stats.loss, stats.val_loss, stats.lr, stats.seconds, stats.samples_per_second});
    return result;
  };
  const std::vector<double> whole = fit(false);
  EXPECT_EQ(fit(true), whole);
}

// Remembers a number, and says no to the state of another.
class Counter : public Callback {
 public:
  explicit Counter(std::string name = "counter") : name_(std::move(name)) {}
  void on_step_end(Trainer&) override { ++count; }
  std::string name() const override { return name_; }
  StateDict state_dict() const override { return {{"count", full({}, count, {.dtype = DType::int64})}}; }
  void load_state_dict(const StateDict& state) override {
    count = static_cast<int64_t>(state.at("count").item());
    if (count > 100) throw ArgumentError("counter: no");
  }
  int64_t count = 0;

 private:
  std::string name_;
};

TEST(Resume, GivesCallbacksTheirOwnState) {
  const TemporaryFolder folder;
  const auto make = [&](Sequential& net, std::vector<std::shared_ptr<Callback>> callbacks) {
    return std::make_unique<Trainer>(
        net, SGD(net.parameters(), {.lr = 0.1}),
        TrainerOptions{.loss = squared_error, .progress = Progress::off, .callbacks = std::move(callbacks)});
  };
  auto a = std::make_shared<Counter>(), b = std::make_shared<Counter>(), c = std::make_shared<Counter>("other");
  a->count = 10, b->count = 20, c->count = 30;
  Sequential net = line_net(0.5);
  make(net, {a, b, c})->save(folder / "x");
  auto d = std::make_shared<Counter>(), e = std::make_shared<Counter>(), f = std::make_shared<Counter>("other");
  auto g = std::make_shared<Counter>("new");
  g->count = 5;
  make(net, {f, g, d, e})->resume(folder / "x");  // in another order, and one more
  EXPECT_EQ(d->count, 10);
  EXPECT_EQ(e->count, 20);
  EXPECT_EQ(f->count, 30);
  EXPECT_EQ(g->count, 5);
}

TEST(Resume, ChangesNothingWhenACallbackRefuses) {
  const TemporaryFolder folder;
  auto first = std::make_shared<Counter>("a"), second = std::make_shared<Counter>("b");
  first->count = 1, second->count = 101;
  Sequential net = line_net(0.5), other = line_net(0.75);
  const auto options = [&] {
    return TrainerOptions{.loss = squared_error, .progress = Progress::off, .callbacks = {first, second}};
  };
  Trainer(net, SGD(net.parameters(), {.lr = 0.1}), options()).save(folder / "x");
  first->count = second->count = 7;
  Trainer trainer(other, SGD(other.parameters(), {.lr = 0.2}), options());
  EXPECT_THAT([&] { trainer.resume(folder / "x"); }, ThrowsMessage<ArgumentError>("counter: no"));
  EXPECT_EQ(other.parameters()[0].item(), 0.75);
  EXPECT_EQ(trainer.optimizer().lr(), 0.2);
  EXPECT_EQ(first->count, 7);
  EXPECT_EQ(second->count, 7);
}

TEST(Resume, RefusesSumsThatAreNone) {
  const TemporaryFolder folder;
  Sequential net = line_net(0.5);
  const SGD sgd(net.parameters(), {.lr = 0.1});
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}), {.loss = squared_error, .progress = Progress::off});
  const Tensor one = ones({}, {.dtype = DType::float64});
  const auto expect = [&](StateDict training, const std::string& message) {
    save_checkpoint(folder / "x", net, sgd, {.training = training});
    EXPECT_THAT([&] { trainer.resume(folder / "x"); }, ThrowsMessage<ArgumentError>(message));
  };
  expect({{"epoch.seconds", one}}, "trainer: the state has no 'epoch.lr'");
  expect({{"epoch.seconds", one}, {"epoch.lr", one}}, "running mean: the state has no 'sum'");
  expect({{"epoch.seconds", one}, {"epoch.lr", one}, {"epoch.loss.sum", ones({2})}},
         "running mean: 'sum' of the state is float32 [2], expected float64 []");
  expect({{"epoch.seconds", one},
          {"epoch.lr", one},
          {"epoch.loss.sum", one},
          {"epoch.loss.weight", one},
          {"epoch.accuracy.correct", one},
          {"epoch.accuracy.samples", full({}, -1, {.dtype = DType::int64})}},
         "accuracy: 'samples' of the state is -1, expected a count");
}

}  // namespace
}  // namespace dnn
