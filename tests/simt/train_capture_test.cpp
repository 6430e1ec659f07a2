// The Trainer's captured steps on the emulated GPU: losses, weights, optimizer states and checkpoints are those of
// ordinary steps, bit for bit, and a repeated step is one launch.
#include <gmock/gmock.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/kernels/runtime.h"
#include "dnn/dnn.h"
#include "tests/simt/graph_fixture.h"

namespace dnn::simt::test {
namespace {

using ::testing::HasSubstr;

constexpr int64_t classes = 4, batch_size = 4;

TensorDataset pictures(int64_t count, int64_t channels, int64_t size) {
  Generator generator(7);
  std::vector<float> pixels(static_cast<size_t>(count * channels * size * size));
  for (float& pixel : pixels) pixel = static_cast<float>(generator.uniform());
  std::vector<int64_t> labels(static_cast<size_t>(count));
  for (int64_t& label : labels) label = static_cast<int64_t>(generator.below(classes));
  return {from_values(pixels, {count, channels, size, size}), from_values(labels, {count})};
}

std::vector<double> numbers(const StateDict& state) {
  std::vector<double> all;
  for (const auto& [name, t] : state) {
    const std::vector<double> values = t.to(DType::float64).to_vector<double>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// What a run leaves behind, and how its steps went.
struct Outcome {
  std::vector<double> losses, epochs, weights, states;
  int64_t repetitions = 0;
  std::string why_eager;
};

class Watch : public Callback {
 public:
  explicit Watch(Outcome& outcome) : outcome_(outcome) {}
  void on_step_begin(Trainer&) override { before_ = counters(); }
  void on_step_end(Trainer& trainer) override {
    const detail::CapturedStep* const step = trainer.captured_step();
    const int64_t repetitions = step == nullptr ? 0 : step->repetitions();
    if (repetitions > outcome_.repetitions) {
      const Counters now = counters();
      EXPECT_EQ(now.graph_launches - before_.graph_launches, 1);
      EXPECT_EQ(now.waits, before_.waits);
      if (trainer.options().metrics.empty()) {  // which are ordinary operations
        EXPECT_LE(now.launches - before_.launches, 1) << "the numbers that vary";
        EXPECT_EQ(now.allocations, before_.allocations);
      }
    }
    outcome_.repetitions = repetitions;
    if (step != nullptr) outcome_.why_eager = step->why_eager();
    outcome_.losses.push_back(trainer.loss());
  }

 private:
  Outcome& outcome_;
  Counters before_;
};

struct Recipe {
  std::function<std::unique_ptr<Layer>()> net;
  std::function<std::shared_ptr<Optimizer>(Layer&)> optimizer;
  int64_t channels = 1, size = 8, samples = 6 * batch_size, epochs = 1;
  TrainerOptions options = {};
};

template <class Net>
std::unique_ptr<Layer> boxed(Net net) {
  return std::make_unique<Net>(std::move(net));
}

Outcome train(const Recipe& recipe, bool capture, const std::string& from = "", const std::string& save = "") {
  manual_seed(3);
  const std::unique_ptr<Layer> net = recipe.net();
  net->to(Device::cuda());
  Outcome outcome;
  TrainerOptions options = recipe.options;
  options.epochs = recipe.epochs;
  options.capture = capture;
  options.progress = Progress::off;
  options.callbacks.push_back(std::make_shared<Watch>(outcome));
  const std::shared_ptr<Optimizer> optimizer = recipe.optimizer(*net);
  DataLoader loader(pictures(recipe.samples, recipe.channels, recipe.size), {.batch_size = batch_size});
  Trainer trainer(*net, optimizer, options);
  if (!from.empty()) trainer.resume(from);
  for (const EpochStats& epoch : trainer.fit(loader)) {
    outcome.epochs.insert(outcome.epochs.end(), {epoch.loss, epoch.accuracy, epoch.lr});
    for (const auto& [name, value] : epoch.metrics) outcome.epochs.push_back(value);
  }
  if (!save.empty()) trainer.save(save);
  outcome.weights = numbers(net->state_dict());
  outcome.states = numbers(optimizer->state_dict());
  return outcome;
}

class TrainCapture : public GraphTest {
 protected:
  // Trains with and without graphs; returns the number of repetitions.
  static int64_t expect_same(const Recipe& recipe) {
    const Outcome ordinary = train(recipe, false), captured = train(recipe, true);
    EXPECT_EQ(captured.losses, ordinary.losses);
    EXPECT_EQ(captured.epochs, ordinary.epochs);
    EXPECT_EQ(captured.weights, ordinary.weights);
    EXPECT_EQ(captured.states, ordinary.states);
    EXPECT_EQ(ordinary.repetitions, 0);
    return captured.repetitions;
  }
};

std::shared_ptr<Optimizer> sgd(Layer& net) {
  return std::make_shared<SGD>(net.parameters(), SgdOptions{.lr = 0.05, .momentum = 0.9});
}

std::unique_ptr<Layer> small_net() { return boxed(Sequential(Flatten(), Linear(64, 8), ReLU(), Linear(8, classes))); }

TEST_F(TrainCapture, LeNetWithMomentum) {
  EXPECT_EQ(expect_same({.net = [] { return boxed(lenet5({.classes = classes})); }, .optimizer = sgd, .size = 28}), 3)
      << "the first step shows that no callback looks, the second is compared with the third, which is recorded";
}

TEST_F(TrainCapture, Dropout) {
  const auto net = [] {
    return boxed(
        Sequential(Conv2d(1, 4, {.kernel = 3}), BatchNorm2d(4), ReLU(), Flatten(), Dropout(0.3), Linear(144, classes)));
  };
  EXPECT_EQ(expect_same({.net = net, .optimizer = sgd}), 3);
}

TEST_F(TrainCapture, AResNetWithAdamAndClippedGradients) {
  Recipe recipe{.net = [] { return boxed(resnet_cifar(8, {.classes = classes, .width = 4})); },
                .optimizer = [](Layer& net) -> std::shared_ptr<Optimizer> {
                  return std::make_shared<AdamW>(net.parameters(), AdamWOptions{.lr = 1e-3});
                },
                .channels = 3,
                .size = 16};
  recipe.options.clip_norm = 1;
  EXPECT_EQ(expect_same(recipe), 3);
}

TEST_F(TrainCapture, ALearningRateThatChangesInEveryStep) {
  Recipe recipe{.net = small_net, .optimizer = sgd};
  recipe.options.lr_schedule = [](double progress) { return 1 - progress / 2; };
  EXPECT_EQ(expect_same(recipe), 3);
}

TEST_F(TrainCapture, EveryOptimizer) {
  const std::vector<std::function<std::shared_ptr<Optimizer>(Layer&)>> all{
      [](Layer& net) { return std::make_shared<RMSprop>(net.parameters(), RmspropOptions{.momentum = 0.5}); },
      [](Layer& net) { return std::make_shared<Adagrad>(net.parameters(), AdagradOptions{.lr_decay = 0.1}); },
      [](Layer& net) { return std::make_shared<Adam>(net.parameters(), AdamOptions{}); },
      [](Layer& net) { return std::make_shared<SGD>(net.parameters(), SgdOptions{.lr = 0.1}); }};
  for (const auto& optimizer : all) {
    Recipe recipe{.net = small_net, .optimizer = optimizer};
    recipe.options.lr_schedule = [](double progress) { return 1 - progress / 2; };
    EXPECT_EQ(expect_same(recipe), 3);
  }
}

TEST_F(TrainCapture, TheLastSmallerBatchHasAGraphOfItsOwn) {
  EXPECT_GE(expect_same({.net = small_net, .optimizer = sgd, .samples = 4 * batch_size + 2, .epochs = 4}), 8);
}

TEST_F(TrainCapture, AccumulatedGradientsAndMetrics) {
  Recipe recipe{.net = small_net, .optimizer = sgd, .samples = 12 * batch_size};
  recipe.options.accumulate = 2;
  recipe.options.metrics = {std::make_shared<TopKAccuracy>(2), std::make_shared<ConfusionMatrix>()};
  EXPECT_EQ(expect_same(recipe), 3);
}

TEST_F(TrainCapture, CheckpointsAndResumedRunsAreExact) {
  const std::string path = (std::filesystem::temp_directory_path() / "dnn_train_capture.safetensors").string();
  const auto net = [] { return boxed(Sequential(Flatten(), Dropout(0.5), Linear(64, classes))); };
  Recipe whole{.net = net, .optimizer = sgd, .epochs = 2}, half = whole;
  half.epochs = 1;
  const Outcome expected = train(whole, false);
  train(half, true, "", path);
  const Outcome resumed = train(whole, true, path);
  std::filesystem::remove(path);
  EXPECT_EQ(resumed.weights, expected.weights);
  EXPECT_EQ(resumed.states, expected.states);
  EXPECT_GT(resumed.repetitions, 0);
}

// ---- several steps a launch -----------------------------------------------------------------------------------------

// Trains step by step and with several steps a launch; returns the number of repetitions.
int64_t expect_same_launched(const Recipe& recipe, int64_t steps) {
  Recipe launched = recipe;
  launched.options.steps_per_launch = steps;
  const Outcome single = train(recipe, false), several = train(launched, true);
  EXPECT_EQ(several.epochs, single.epochs);
  EXPECT_EQ(several.weights, single.weights);
  EXPECT_EQ(several.states, single.states);
  EXPECT_EQ(several.losses.size(), single.losses.size());
  return several.repetitions;
}

std::shared_ptr<Optimizer> adam(Layer& net) { return std::make_shared<Adam>(net.parameters(), AdamOptions{}); }

std::unique_ptr<Layer> dropping_net() { return boxed(Sequential(Flatten(), Dropout(0.3), Linear(64, classes))); }

TEST_F(TrainCapture, SeveralStepsALaunch) {
  Recipe recipe{.net = dropping_net, .optimizer = adam, .samples = 22 * batch_size + 2, .epochs = 2};
  recipe.options.lr_schedule = [](double progress) { return 1 - progress / 2; };
  EXPECT_EQ(expect_same_launched(recipe, 4), 1 + 2 + 4)
      << "the first four are single ones, and the last three of an epoch have a graph of their own";
}

TEST_F(TrainCapture, SeveralStepsOfSeveralBatchesIn16Bits) {
  Recipe recipe{.net = small_net, .optimizer = sgd, .samples = 21 * batch_size};
  recipe.options.accumulate = 2;
  recipe.options.metrics = {std::make_shared<TopKAccuracy>(2)};
  recipe.options.precision = Arithmetic::float16;
  recipe.options.loss = [](const Tensor& y, const Tensor& labels) { return cross_entropy(y, labels) * 100; };
  EXPECT_EQ(expect_same_launched(recipe, 2), 2) << "11 steps: two single ones, then launches of two, then of one";
}

TEST_F(TrainCapture, AnOptimizerThatAsksForItsRateGoesStepByStep) {
  class Plain : public Optimizer {
   public:
    explicit Plain(const std::vector<Tensor>& parameters) : Optimizer("plain", {parameters}, {0.1}, {}) {}
    void update(const UpdateList& list) override {
      sgd_update_(list.parameters, list.gradients, {}, {.lr = lr(list.group)}, {});
    }
  };
  Recipe recipe{.net = small_net,
                .optimizer = [](Layer& net) { return std::make_shared<Plain>(net.parameters()); },
                .samples = 16 * batch_size};
  recipe.options.lr_schedule = [](double progress) { return progress < 0.7 ? 1 : 1 - progress / 2; };
  expect_same_launched(recipe, 2);
}

TEST_F(TrainCapture, CallbacksSeeTheStepsOfALaunchTogether) {
  class Notes : public Callback {
   public:
    void on_step_begin(Trainer& trainer) override { note('b', trainer); }
    void on_step_end(Trainer& trainer) override {
      note('e', trainer);
      if (trainer.step() == 5) trainer.stop();
    }
    void on_checkpoint(Trainer& trainer) override { note('c', trainer); }
    std::string text;

   private:
    void note(char what, Trainer& trainer) {
      text += what + std::to_string(trainer.step()) + '/' + std::to_string(trainer.batch()) + '/' +
              std::to_string(trainer.samples()) + ' ';
    }
  };
  const auto notes = std::make_shared<Notes>();
  const std::string path = (std::filesystem::temp_directory_path() / "dnn_train_launch.safetensors").string();
  Recipe recipe{.net = dropping_net, .optimizer = adam, .samples = 10 * batch_size};
  const Outcome expected = train(recipe, false);
  recipe.options.steps_per_launch = 3;
  Recipe stopped = recipe;
  stopped.options.callbacks = {notes};
  train(stopped, true, "", path);
  EXPECT_EQ(notes->text,
            "b0/0/0 e1/1/4 c1/1/4 b1/1/4 e2/2/8 c2/2/8 b2/2/8 e3/3/12 c3/3/12 "
            "b3/3/12 b4/4/12 b5/5/12 e4/4/16 e5/5/20 e6/6/24 c6/6/24 ")
      << "stop acts after the launch";
  const Outcome resumed = train(recipe, true, path);
  std::filesystem::remove(path);
  EXPECT_EQ(resumed.weights, expected.weights);
  EXPECT_EQ(resumed.states, expected.states);
}

TEST_F(TrainCapture, ACheckpointWithinALaunchIsRefused) {
  class Saves : public Callback {
   public:
    void on_step_end(Trainer& trainer) override { trainer.save(path); }
    std::string path = (std::filesystem::temp_directory_path() / "dnn_train_within.safetensors").string();
  };
  Recipe recipe{.net = small_net, .optimizer = sgd, .samples = 12 * batch_size};
  recipe.options.steps_per_launch = 3;
  recipe.options.callbacks = {std::make_shared<Saves>()};
  try {
    train(recipe, true);
    FAIL() << "expected ArgumentError";
  } catch (const ArgumentError& error) {
    EXPECT_THAT(error.what(), HasSubstr("trainer: save in on_step_end of step 4, expected it in on_checkpoint"));
  }
}

// The first launch of three steps is watched, the second is recorded: none of its steps has been made then.
TEST_F(TrainCapture, AFailureWithinALaunchKeepsTheStepsThatWereMade) {
  const auto run = [](int64_t failing_call, int64_t steps, bool capture) {
    manual_seed(3);
    Sequential net(Flatten(), Linear(64, classes));
    net.to(Device::cuda());
    int64_t calls = 0;
    Trainer trainer(net, Adam(net.parameters(), {.lr = 0.1}),
                    {.loss =
                         [&](const Tensor& y, const Tensor& labels) {
                           if (++calls == failing_call) throw IoError("the loss fails");
                           return cross_entropy(y, labels);
                         },
                     .capture = capture,
                     .steps_per_launch = 3,
                     .progress = Progress::off});
    DataLoader loader(pictures(12 * batch_size, 1, 8), {.batch_size = batch_size});
    EXPECT_THROW(trainer.fit(loader), IoError);
    EXPECT_EQ(trainer.step(), steps);
    EXPECT_EQ(trainer.batch(), steps);
    EXPECT_EQ(trainer.samples(), steps * batch_size);
    std::vector<double> all = numbers(net.state_dict());
    for (const double number : numbers(trainer.optimizer().state_dict())) all.push_back(number);
    all.push_back(trainer.loss());
    return all;
  };
  EXPECT_EQ(run(3, 2, true), run(3, 2, false)) << "watched";
  EXPECT_EQ(run(5, 3, true), run(4, 3, false)) << "recorded";
}

TEST_F(TrainCapture, SeveralStepsWithoutMemoryForAGraphAreOrdinaryOnes) {
  const auto run = [](int64_t failing_call) {
    manual_seed(3);
    Sequential net(Flatten(), Dropout(0.2), Linear(64, classes));
    net.to(Device::cuda());
    int64_t calls = 0;
    Trainer trainer(net, Adam(net.parameters(), {.lr = 0.1}),
                    {.loss =
                         [&](const Tensor& y, const Tensor& labels) {
                           if (++calls == failing_call) detail::fail_allocation(2);
                           return cross_entropy(y, labels);
                         },
                     .capture = failing_call > 0,
                     .steps_per_launch = 3,
                     .progress = Progress::off});
    DataLoader loader(pictures(12 * batch_size, 1, 8), {.batch_size = batch_size});
    std::vector<double> all{trainer.fit(loader).back().loss};
    for (const double number : numbers(net.state_dict())) all.push_back(number);
    for (const double number : numbers(trainer.optimizer().state_dict())) all.push_back(number);
    return all;
  };
  EXPECT_EQ(run(4), run(0)) << "in the first step of those that are recorded";
}

// Two parameters at one step are one launch when that is recorded; a state that tells them apart needs another.
TEST_F(TrainCapture, AStateOfOtherStepsIsRecordedAnew) {
  const auto weights_of = [](bool captured) {
    manual_seed(4);
    Sequential net(Linear(8, 8), Linear(8, classes));
    net.to(Device::cuda());
    Adam adam(net.parameters(), {.lr = 0.1});
    const Tensor x = rand({batch_size, 8}).to(Device::cuda());
    const Tensor labels = zeros({batch_size}, {.dtype = DType::int64}).to(Device::cuda());
    const auto step = [&](const Tensor& input) {
      adam.zero_grad();
      const Tensor loss = cross_entropy(net(input), labels);
      loss.backward();
      adam.step();
      return loss.detach();
    };
    auto graph = capture(step);
    const auto run = [&](int64_t steps) {
      for (int64_t i = 0; i < steps; ++i) captured ? graph(x) : step(x);
    };
    run(5);
    StateDict state;
    for (const auto& [name, tensor] : adam.state_dict())
      state.insert(name, name == "0.step" ? full({}, 900, {.dtype = DType::int64}) : tensor.clone());
    adam.load_state_dict(state);
    run(4);
    return numbers(net.state_dict());
  };
  EXPECT_EQ(weights_of(true), weights_of(false));
}

TEST_F(TrainCapture, ACheckpointThatIsDueWithinALaunchIsWrittenAfterIt) {
  const auto folder = std::filesystem::temp_directory_path() / "dnn_train_launch";
  std::filesystem::create_directories(folder);
  const auto keep = std::make_shared<KeepLastCheckpoints>(
      (folder / "{step}.safetensors").string(), KeepLastOptions{.keep = 9, .every_epochs = 0, .every_steps = 5});
  Recipe recipe{.net = small_net, .optimizer = sgd, .samples = 12 * batch_size};
  recipe.options.steps_per_launch = 3;
  recipe.options.callbacks = {keep};
  train(recipe, true);
  EXPECT_THAT(keep->paths(), ::testing::ElementsAre(HasSubstr("6.safetensors"), HasSubstr("12.safetensors")));
  std::filesystem::remove_all(folder);
}

// ---- ordinary steps -------------------------------------------------------------------------------------------------

class LooksAtGradients : public Callback {
 public:
  void on_update(Trainer& trainer, std::span<const Batch>, const Tensor&) override {
    seen += trainer.optimizer().parameters().front().has_grad();
  }
  int seen = 0;
};

TEST_F(TrainCapture, NotWhileACallbackLooksIntoTheStep) {
  const auto looks = std::make_shared<LooksAtGradients>();
  Recipe recipe{.net = small_net, .optimizer = sgd};
  recipe.options.callbacks = {looks};
  EXPECT_EQ(train(recipe, true).repetitions, 0);
  EXPECT_EQ(looks->seen, 6);
}

TEST_F(TrainCapture, ALookNowAndThenLeavesTheOtherSteps) {
  Recipe recipe{.net = small_net, .optimizer = sgd};
  recipe.options.callbacks = {std::make_shared<StopOnNaN>(StopOnNaNOptions{.every = 3})};
  EXPECT_EQ(expect_same(recipe), 2);
}

TEST_F(TrainCapture, NotWhereTheStepWaits) {
  Recipe recipe{.net = small_net, .optimizer = sgd};
  recipe.options.loss = [](const Tensor& output, const Tensor& target) {
    const Tensor loss = cross_entropy(output, target);
    return loss.item() > 100 ? loss * 0.5 : loss;
  };
  EXPECT_EQ(expect_same(recipe), 0);
  EXPECT_THAT(train(recipe, true).why_eager, HasSubstr("waits for cuda:0"));
}

TEST_F(TrainCapture, NumbersOfALossThatChangeFromEpochToEpoch) {
  const auto factor = std::make_shared<double>(1);
  struct Anneal : Callback {
    explicit Anneal(std::shared_ptr<double> factor) : factor(std::move(factor)) {}
    void on_epoch_begin(Trainer& trainer) override { *factor = 1.0 / static_cast<double>(1 + trainer.epoch()); }
    std::shared_ptr<double> factor;
  };
  Recipe recipe{.net = small_net, .optimizer = sgd, .epochs = 3};
  recipe.options.callbacks = {std::make_shared<Anneal>(factor)};
  recipe.options.loss = [factor](const Tensor& output, const Tensor& target) {
    return cross_entropy(output, target) * *factor;
  };
  EXPECT_GT(expect_same(recipe), 3);
}

}  // namespace
}  // namespace dnn::simt::test
