// The Trainer: numbers against hand computations, runs that repeat, no memory asked for once it runs. How runs resume
// is in resume_test.cpp, how steps are made in step_test.cpp.
#include "dnn/train/trainer.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/core/failing_file_system.h"
#include "tests/train/toys.h"

namespace dnn {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Trainer, HistoryIsRightForRegression) {
  Sequential net = line_net(0.5);
  DataLoader train(line_data(), {.batch_size = 2}), test(line_data(), {.batch_size = 3});
  auto clock = std::make_shared<StepClock>(0.5);
  Trainer trainer(
      net, SGD(net.parameters(), {.lr = 0.1}),
      {.epochs = 2, .loss = squared_error, .progress = Progress::off, .callbacks = {clock}, .clock = clock->clock()});
  const History history = trainer.fit(train, test);

  ASSERT_EQ(history.size(), 2u);
  double w = 0.5;
  const auto square = [](double x) { return x * x; };
  for (int epoch = 0; epoch < 2; ++epoch) {
    // Batches (1, 2) and (3): the loss is the mean of (w x - x)^2, its gradient the mean of 2 (w x - x) x.
    const double first = (square(w - 1) + square(2 * (w - 1))) / 2;
    w -= 0.1 * ((w - 1) * 1 + (w - 1) * 4);
    const double second = square(3 * (w - 1));
    w -= 0.1 * (2 * (w - 1) * 9);
    const EpochStats& stats = history[static_cast<size_t>(epoch)];
    EXPECT_EQ(stats.epoch, epoch + 1);
    EXPECT_NEAR(stats.loss, (2 * first + second) / 3, 1e-6);
    EXPECT_NEAR(stats.val_loss, square(w - 1) * 14 / 3, 1e-6);
    EXPECT_TRUE(std::isnan(stats.accuracy));  // the targets are no classes
    EXPECT_TRUE(std::isnan(stats.val_accuracy));
    EXPECT_EQ(stats.lr, 0.1);
    EXPECT_EQ(stats.seconds, 1.0);
    EXPECT_EQ(stats.samples_per_second, 3.0);
  }
  EXPECT_NEAR(net.parameters()[0].item(), w, 1e-6);
  EXPECT_EQ(trainer.epoch(), 2);
  EXPECT_EQ(trainer.step(), 4);
}

// Three samples, two of them right; each loss is log(1 + e^-1), or 1 more.
TEST(Trainer, HistoryIsRightForClasses) {
  Sequential net = identity_net();
  const TensorDataset data(tensor({1, 0, 0, 1, 1, 0}, {3, 2}), from_values<int64_t>({0, 1, 1}, {3}));
  DataLoader train(data, {.batch_size = 2}), test(data, {.batch_size = 1});
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0}), {.progress = Progress::off});
  const History history = trainer.fit(train, test);
  const double loss = std::log1p(std::exp(-1)) + 1.0 / 3;
  EXPECT_NEAR(history[0].loss, loss, 1e-6);
  EXPECT_NEAR(history[0].val_loss, loss, 1e-6);
  EXPECT_EQ(history[0].accuracy, 2.0 / 3);
  EXPECT_EQ(history[0].val_accuracy, 2.0 / 3);

  const Evaluation result = trainer.evaluate(test);
  EXPECT_NEAR(result.loss, loss, 1e-6);
  EXPECT_EQ(result.accuracy, 2.0 / 3);
  EXPECT_EQ(result.samples, 3);
}

class Rows : public Layer {
 public:
  DNN_MODULE()
  Tensor forward(Tensor x) override { return x.reshape({-1, 2}); }
};

// Loss and accuracy are means over the rows of the output, of which a net may give several for a sample.
TEST(Trainer, EvaluatesSeveralRowsOfASample) {
  Rows net;
  const Tensor inputs = tensor({5, 0, 0, 5, 5, 0, 0, 5}, {2, 2, 2}),
               targets = from_values<int64_t>({0, 1, 0, 0}, {2, 2});
  DataLoader loader(
      TensorDataset(inputs, targets),
      {.batch_size = 2, .batch_transforms = {[](Batch& b, Generator&) { b.target = b.target.reshape({-1}); }}});
  const Evaluation result = evaluate(net, loader);
  EXPECT_EQ(result.accuracy, 0.75);
  EXPECT_NEAR(result.loss, std::log1p(std::exp(-5)) + 5.0 / 4, 1e-6);
  EXPECT_EQ(result.samples, 2);
}

TEST(Trainer, PredictsTensorsAndLoaders) {
  Sequential net = identity_net();
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0}), {.progress = Progress::off});
  const Tensor inputs = tensor({1, 2, 3, 4, 5, 6}, {3, 2});
  DataLoader loader(TensorDataset(inputs, arange(0, 3)), {.batch_size = 2});
  EXPECT_EQ(trainer.predict(inputs).to_vector<float>(), inputs.to_vector<float>());
  EXPECT_EQ(trainer.predict(loader).to_vector<float>(), inputs.to_vector<float>());
  EXPECT_FALSE(trainer.predict(inputs).requires_grad());
  EXPECT_EQ(trainer.predict_classes(inputs).to_vector<int64_t>(), (std::vector<int64_t>{1, 1, 1}));
  EXPECT_EQ(trainer.predict_classes(loader).to_vector<int64_t>(), (std::vector<int64_t>{1, 1, 1}));
  Sequential flat(Flatten(0));
  EXPECT_THAT([&] { predict_classes(flat, inputs); },
              ThrowsMessage<ShapeError>("predict_classes: output is [6], expected [n, classes]"));
}

// A net whose rows are twice as many as the labels.
TEST(Trainer, TellsNoAccuracyWhereLabelsAreNotOneForEachRow) {
  Sequential net(Rows(), Linear(2, 3));
  const TensorDataset pairs(rand({6, 4}), from_values<int64_t>({0, 1, 0, 1, 0, 1}, {6}));
  DataLoader loader(pairs, {.batch_size = 2});
  Trainer trainer(
      net, SGD(net.parameters(), {.lr = 0.1}),
      {.loss = [](const Tensor& output, const Tensor&) { return mean(square(output)); }, .progress = Progress::off});
  EXPECT_TRUE(std::isnan(trainer.fit(loader)[0].accuracy));
  EXPECT_TRUE(std::isnan(trainer.evaluate(loader).accuracy));
}

class Modes : public Layer {
 public:
  Linear linear{2, 2};
  DNN_MODULE(linear)
  Tensor forward(Tensor x) override {
    seen.push_back(std::string(training() ? "train" : "eval") + (grad_enabled() ? "+grad" : ""));
    return linear(x);
  }
  std::vector<std::string> seen;
};

TEST(Trainer, SwitchesModes) {
  Modes net;
  net.linear.eval();
  DataLoader loader(TensorDataset(zeros({2, 2}), zeros({2}, {.dtype = DType::int64})));
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0}), {.progress = Progress::off});
  trainer.evaluate(loader);
  EXPECT_TRUE(net.training());
  EXPECT_FALSE(net.linear.training());  // every module gets its own mode back
  trainer.fit(loader, loader);
  trainer.predict(loader);
  EXPECT_THAT(net.seen, ElementsAre("eval", "train+grad", "eval", "eval"));
  EXPECT_TRUE(net.training());
}

TEST(Trainer, GivesModesBackAfterAnError) {
  Modes net;
  DataLoader loader(TensorDataset(zeros({2, 3}), zeros({2}, {.dtype = DType::int64})));
  EXPECT_THROW(evaluate(net, loader), ShapeError);
  EXPECT_TRUE(net.training());
  EXPECT_TRUE(grad_enabled());
}

TEST(Trainer, TakesOptimizersByValueAndByReference) {
  Sequential net = line_net(0.5);
  DataLoader loader(line_data());
  SGD sgd(net.parameters(), {.lr = 0.1});
  Trainer by_reference(net, sgd, {.loss = squared_error, .progress = Progress::off});
  EXPECT_EQ(&by_reference.optimizer(), &sgd);
  by_reference.fit(loader);
  Trainer by_value(net, std::move(sgd), {.loss = squared_error, .progress = Progress::off});
  EXPECT_NE(&by_value.optimizer(), &sgd);
  by_value.fit(loader);
  EXPECT_EQ(by_value.step(), 1);
}

// The weights after training `small_net`, for one seed.
std::vector<double> trained(uint64_t seed, int threads) {
  manual_seed(seed);
  Sequential net = small_net();
  DataLoader train(random_images(50, 8), {.batch_size = 16, .shuffle = true, .seed = seed, .threads = threads});
  Trainer trainer(net, Adam(net.parameters()),
                  {.epochs = 3, .device = Device::cpu(), .seed = seed, .progress = Progress::off});
  trainer.fit(train);
  return numbers(net.state_dict());
}

TEST(Trainer, OneSeedGivesOneResult) {
  const std::vector<double> once = trained(1, 1);
  EXPECT_EQ(once, trained(1, 1));
  EXPECT_EQ(once, trained(1, 2));
  EXPECT_NE(once, trained(2, 1));
}

TEST(Trainer, SeedMakesDropoutIndependentOfThePast) {
  std::vector<std::vector<double>> results;
  for (const uint64_t noise : {10, 20}) {
    manual_seed(3);
    Sequential net = small_net();
    manual_seed(noise);
    DataLoader train(random_images(20, 8));
    Trainer trainer(net, Adam(net.parameters()), {.epochs = 2, .seed = 4, .progress = Progress::off});
    trainer.fit(train);
    results.push_back(numbers(net.state_dict()));
  }
  EXPECT_EQ(results[0], results[1]);
}

class Steady : public testing::TestWithParam<int> {};

TEST_P(Steady, AsksForNoMemoryAfterTwoSteps) {
  Sequential net = lenet();
  DataLoader train(random_images(160), {.batch_size = 16, .shuffle = true, .threads = GetParam()});
  std::vector<int64_t> requests;
  auto watch = std::make_shared<AfterStep>([&](Trainer&) { requests.push_back(memory_stats().system_requests); });
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.01, .momentum = 0.9}),
                  {.epochs = 2, .progress = Progress::off, .callbacks = {watch}});
  trainer.fit(train);
  ASSERT_EQ(requests.size(), 20u);
  EXPECT_THAT(std::vector<int64_t>(requests.begin() + 2, requests.end()), testing::Each(requests[1]));
}

INSTANTIATE_TEST_SUITE_P(Trainer, Steady, testing::Values(0, 1, 2));

class Recorder : public Callback {
 public:
  void on_fit_begin(Trainer&) override { add("fit"); }
  void on_epoch_begin(Trainer& trainer) override { add("epoch " + std::to_string(trainer.epoch())); }
  void on_step_begin(Trainer& trainer) override { add("step " + std::to_string(trainer.batch())); }
  void on_update(Trainer& trainer, std::span<const Batch> batches, const Tensor& loss) override {
    EXPECT_EQ(batches.size(), 1u);
    EXPECT_EQ(loss.numel(), 1);
    add("update " + std::to_string(trainer.batch()));
  }
  void on_step_end(Trainer& trainer) override { add("done " + std::to_string(trainer.batch())); }
  void on_checkpoint(Trainer&) override { add("checkpoint"); }
  void on_validation_begin(Trainer&) override { add("validation"); }
  void on_validation_end(Trainer&) override { add("validated"); }
  void on_epoch_end(Trainer& trainer, const EpochStats&) override { add("end " + std::to_string(trainer.epoch())); }
  void on_fit_end(Trainer&) override { add("fit end"); }
  void on_fit_failed(Trainer&) noexcept override { add("failed"); }
  std::vector<std::string> events;

 private:
  void add(const std::string& event) { events.push_back(event); }
};

TEST(Trainer, CallsCallbacksInOrder) {
  Sequential net = line_net(0.5);
  DataLoader loader(line_data(), {.batch_size = 2});
  auto recorder = std::make_shared<Recorder>();
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                  {.loss = squared_error, .progress = Progress::off, .callbacks = {recorder}});
  trainer.fit(loader, loader);
  EXPECT_THAT(recorder->events,
              ElementsAre("fit", "epoch 0", "step 0", "update 0", "done 1", "checkpoint", "step 1", "update 1",
                          "done 2", "checkpoint", "validation", "validated", "end 1", "checkpoint", "fit end"));
}

TEST(Trainer, StopsAfterTheRunningStep) {
  Sequential net = line_net(0.5);
  DataLoader loader(line_data(), {.batch_size = 1});
  auto recorder = std::make_shared<Recorder>();
  auto stop = std::make_shared<AfterStep>([](Trainer& trainer) {
    if (trainer.step() == 2) trainer.stop();
  });
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.01}),
                  {.loss = squared_error, .progress = Progress::off, .callbacks = {recorder, stop}});
  EXPECT_TRUE(trainer.fit(loader).empty());
  EXPECT_THAT(recorder->events, ElementsAre("fit", "epoch 0", "step 0", "update 0", "done 1", "checkpoint", "step 1",
                                            "update 1", "done 2", "checkpoint", "fit end"));
  recorder->events.clear();
  EXPECT_EQ(trainer.fit(loader).size(), 1u);  // goes on where it stopped
  EXPECT_THAT(recorder->events, ElementsAre("fit", "epoch 0", "step 2", "update 2", "done 3", "checkpoint", "end 1",
                                            "checkpoint", "fit end"));
}

// It is the epoch's last step, so the epoch is completed, with or without a handler of signals.
TEST(Trainer, ValidatesAfterAStopInTheLastStep) {
  for (const bool handle_signals : {false, true}) {
    Sequential net = line_net(0.5);
    DataLoader loader(line_data(), {.batch_size = 1});
    auto stop = std::make_shared<AfterStep>([](Trainer& trainer) {
      if (trainer.step() == 3) trainer.stop();
    });
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0.01}),
                    {.epochs = 2,
                     .loss = squared_error,
                     .progress = Progress::off,
                     .handle_signals = handle_signals,
                     .callbacks = {stop}});
    const History history = trainer.fit(loader, loader);
    ASSERT_EQ(history.size(), 1u);
    EXPECT_EQ(history[0].val_loss, trainer.evaluate(loader).loss);
    EXPECT_FALSE(trainer.interrupted());
  }
}

// The training numbers of the epoch are kept for the next `fit`.
TEST(Trainer, GoesOnAfterAFailedValidation) {
  const auto fit = [](bool fail) {
    Sequential net = line_net(0.5);
    DataLoader loader(line_data(), {.batch_size = 1}), wrong(TensorDataset(ones({3, 3}), ones({3, 3})));
    Trainer trainer(
        net, SGD(net.parameters(), {.lr = 0.01}),
        {.loss = squared_error, .metrics = {std::make_shared<MeanAbsoluteError>()}, .progress = Progress::off});
    if (fail) {
      EXPECT_THROW(trainer.fit(loader, wrong), ShapeError);
    }
    const History history = trainer.fit(loader, loader);
    return std::vector<double>{history.at(0).loss, history[0].metrics.at("mae"), history[0].val_loss};
  };
  EXPECT_EQ(fit(true), fit(false));
}

TEST(Trainer, TellsCallbacksOfAFailure) {
  Sequential net = line_net(0.5);
  DataLoader loader(line_data());
  auto recorder = std::make_shared<Recorder>();
  auto fail = std::make_shared<AfterStep>([](Trainer&) { throw ArgumentError("test: no"); });
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                  {.loss = squared_error, .progress = Progress::off, .callbacks = {recorder, fail}});
  EXPECT_THAT([&] { trainer.fit(loader); }, ThrowsMessage<ArgumentError>("test: no"));
  EXPECT_EQ(recorder->events.back(), "failed");
}

// A metric of the user's: the largest output.
class Largest : public Metric {
 public:
  std::string name() const override { return "largest"; }
  void reset() override { value_ = -INFINITY; }
  void update(const Tensor& output, const Tensor&) override { value_ = std::max(value_, max(output).item()); }
  double value() const override { return value_; }

 private:
  double value_ = -INFINITY;
};

TEST(Trainer, GathersTheUsersMetrics) {
  Sequential net = line_net(2);
  const Tensor small = tensor({1, 2}, {2, 1});
  DataLoader train(line_data(), {.batch_size = 1}), test(TensorDataset(small, small), {.batch_size = 1});
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0}),
                  {.loss = squared_error, .metrics = {std::make_shared<Largest>()}, .progress = Progress::off});
  const History history = trainer.fit(train, test);
  EXPECT_EQ(history[0].metrics.at("largest"), 6);
  EXPECT_EQ(history[0].val_metrics.at("largest"), 4);
  EXPECT_EQ(trainer.evaluate(test).metrics.at("largest"), 4);
}

TEST(Trainer, RefusesBadOptions) {
  Sequential net = line_net(0.5);
  const auto make = [&](TrainerOptions options) { Trainer(net, SGD(net.parameters(), {.lr = 0.1}), options); };
  EXPECT_THAT([&] { make({.epochs = -1}); }, ThrowsMessage<ArgumentError>("trainer: epochs is -1, expected >= 0"));
  EXPECT_THAT([&] { make({.accumulate = 0}); },
              ThrowsMessage<ArgumentError>("trainer: accumulate is 0, expected >= 1"));
  EXPECT_THAT([&] { make({.steps_per_launch = 0}); },
              ThrowsMessage<ArgumentError>("trainer: steps_per_launch is 0, expected >= 1"));
  EXPECT_THAT([&] { make({.clip_norm = -1}); },
              ThrowsMessage<ArgumentError>("trainer: clip_norm is -1, expected >= 0"));
  EXPECT_THAT(
      [&] {
        make({.metrics = {std::make_shared<Largest>(), std::make_shared<Largest>()}});
      },
      ThrowsMessage<ArgumentError>("trainer: the name 'largest' of a metric is taken, expected each once"));
  EXPECT_THAT(
      [&] {
        make({.metadata = {{"dnn.epoch", "1"}}});
      },
      ThrowsMessage<ArgumentError>("trainer: metadata is called 'dnn.epoch', names must not begin with 'dnn.'"));
  EXPECT_THAT([&] { make({.metrics = {nullptr}}); }, ThrowsMessage<ArgumentError>("trainer: a metric is null"));
  EXPECT_THAT([&] { make({.callbacks = {nullptr}}); }, ThrowsMessage<ArgumentError>("trainer: a callback is null"));
  EXPECT_THAT([&] { Trainer(net, std::shared_ptr<Optimizer>()); },
              ThrowsMessage<ArgumentError>("trainer: optimizer is null"));
}

TEST(Trainer, WritesTheUsersTextsIntoItsCheckpoints) {
  const TemporaryFolder folder;
  Sequential net = identity_net();
  DataLoader loader(TensorDataset(zeros({2, 2}), zeros({2}, {.dtype = DType::int64})));
  const std::map<std::string, std::string> texts{{"classes", "[\"cat\", \"dog\"]"}, {"model", "identity"}};
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                  {.progress = Progress::off, .checkpoint = folder / "last", .metadata = texts});
  trainer.fit(loader);
  EXPECT_EQ(load_weights(folder / "last").metadata, texts);
  trainer.save(folder / "another");
  EXPECT_EQ(load_checkpoint(folder / "another", net).metadata, texts);
}

TEST(Trainer, ReportsWhatDoesNotFit) {
  Sequential net = identity_net();
  const auto fit = [&](const Tensor& inputs, const Tensor& labels) {
    DataLoader loader(TensorDataset(inputs, labels));
    Trainer(net, SGD(net.parameters(), {.lr = 0.1}), {.progress = Progress::off}).fit(loader);
  };
  const std::vector<double> before = numbers(net.state_dict());
  EXPECT_THAT(
      [&] {
        fit(zeros({2, 3}), zeros({2}, {.dtype = DType::int64}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("[2, 3]")));
  EXPECT_THAT(
      [&] {
        fit(zeros({2, 2}), full({2}, 2, {.dtype = DType::int64}));
      },
      ThrowsMessage<IndexError>(HasSubstr("2")));
  EXPECT_THAT(
      [&] {
        fit(zeros({2, 2}), zeros({2, 2}, {.dtype = DType::int64}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("[2, 2]")));
  EXPECT_THROW(fit(zeros({2, 2}), zeros({2})), ShapeError);
  EXPECT_THROW(fit(zeros({0, 2}), zeros({0}, {.dtype = DType::int64})), ArgumentError);  // no data
  EXPECT_EQ(numbers(net.state_dict()), before);
}

TEST(Trainer, FindsOutAtOnceThatTheCheckpointCannotBeWritten) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "in the way";
  Sequential net = line_net(0.5);
  DataLoader loader(line_data());
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                  {.loss = squared_error, .progress = Progress::off, .checkpoint = folder / "file/x"});
  EXPECT_THROW(trainer.fit(loader), IoError);
  EXPECT_EQ(trainer.step(), 0);
}

TEST(Trainer, MakesTheFolderOfTheCheckpoint) {
  const TemporaryFolder folder;
  Sequential net = line_net(0.5);
  DataLoader loader(line_data());
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                  {.loss = squared_error, .progress = Progress::off, .checkpoint = folder / "runs/1/x"});
  trainer.fit(loader);
  EXPECT_TRUE(std::filesystem::exists(folder / "runs/1/x"));
}

}  // namespace
}  // namespace dnn
