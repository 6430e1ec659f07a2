// Captured steps in 16 bits on the emulated GPU: weights, states and the scale of the loss are those of ordinary steps,
// bit for bit, also where steps are skipped, rates change, and weights change between two launches.
#include <gmock/gmock.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dnn/dnn.h"
#include "tests/simt/graph_fixture.h"

namespace dnn::simt::test {
namespace {

using List = std::vector<double>;

const TensorOptions there{.device = Device::cuda()};

List values(const Tensor& t) { return t.detach().to(DType::float64).to_vector<double>(); }

void append(List& all, const StateDict& state) {
  for (const auto& [name, tensor] : state)
    for (const double value : values(tensor)) all.push_back(value);
}

class AutocastCapture : public GraphTest {};

Sequential small_net() {
  manual_seed(3);
  Sequential net(Conv2d(1, 4, {.kernel = 3}), BatchNorm2d(4), ReLU(), Flatten(), Linear(144, 4));
  net.to(Device::cuda());
  return net;
}

struct Sample {
  Tensor x, y;
};

Sample sample() {
  return {randn({4, 1, 8, 8}).to(Device::cuda()),
          tensor({0, 1, 2, 3}, {4}, {.dtype = DType::int64}).to(Device::cuda())};
}

// ---- free code ------------------------------------------------------------------------------------------------------

struct Outcome {
  List numbers;
  int64_t skipped = 0, repetitions = 0, recordings = 0;
};

// Adam at a rate that is another one in each step. With float16 the scale grows too large after four good steps; after
// step 9 somebody changes a weight.
Outcome run(DType type, bool captured) {
  constexpr int steps = 18;
  Sequential net = small_net();
  Adam adam(net.parameters(), {.lr = 1e-2});
  GradScaler scaler(
      {.initial_scale = 256, .growth = 0x1p24, .backoff = 0x1p-24, .interval = 4, .enabled = type == DType::float16});
  const auto step = [&](const Tensor& x, const Tensor& y) {
    adam.zero_grad();
    Tensor loss;
    {
      const Autocast autocast(type);
      loss = cross_entropy(net(x), y);
    }
    scaler.backward(loss);
    scaler.step(adam, {.clip_norm = 1});
    scaler.update();
    return loss.detach();
  };
  auto graph = capture(step);
  Outcome outcome;
  for (int i = 0; i < steps; ++i) {
    const auto [x, y] = sample();
    adam.set_lr(1e-2 / (1 + i));
    append(outcome.numbers, {{"loss", captured ? graph(x, y) : step(x, y)}});
    outcome.numbers.push_back(scaler.factor());
    if (i != 9) continue;
    const NoGrad no_grad;
    Tensor(net.parameters().front()).mul_(0.5);
  }
  append(outcome.numbers, net.state_dict());
  append(outcome.numbers, adam.state_dict());
  {
    const Autocast autocast(type);
    const NoGrad no_grad;
    append(outcome.numbers, {{"output", net(sample().x)}});
  }
  outcome.skipped = steps - static_cast<int64_t>(adam.state_dict().at("0.step").item());
  outcome.repetitions = graph.repetitions(), outcome.recordings = graph.recordings();
  return outcome;
}

TEST_F(AutocastCapture, AdamWithChangingRatesSkippedStepsAndAChangedWeight) {
  for (const DType type : {DType::bfloat16, DType::float16}) {
    SCOPED_TRACE(name_of(type));
    const Outcome expected = run(type, false), actual = run(type, true);
    EXPECT_EQ(actual.numbers, expected.numbers);
    EXPECT_EQ(actual.skipped, type == DType::float16 ? 3 : 0);
    EXPECT_EQ(actual.recordings, 2) << "the weight's change is seen";
    EXPECT_EQ(actual.repetitions, 18 - 2 * (2 + 1));
  }
}

// An update of the user's own, which knows of no shadow: the cast is part of the graph, the second use relies on it.
TEST_F(AutocastCapture, AShadowIsAsStaleAfterARepetitionAsAfterTheStep) {
  const auto train = [](bool captured, int64_t* repetitions) {
    manual_seed(3);
    Tensor w = (randn({4, 4}) * 0.5).to(Device::cuda()).set_requires_grad();
    const auto step = [&](const Tensor& x) {
      w.zero_grad();
      Tensor loss;
      {
        const Autocast autocast(DType::bfloat16);
        loss = square(linear(linear(x, w), w)).mean();
      }
      loss.backward();
      const NoGrad no_grad;
      w.sub_(w.grad() * 0.1);
      return loss.detach();
    };
    auto graph = capture(step);
    List all;
    for (int i = 0; i < 6; ++i) {
      const Tensor x = randn({3, 4}).to(Device::cuda());
      append(all, {{"loss", captured ? graph(x) : step(x)}, {"w", w}});
      if (i < 4) continue;
      const Autocast autocast(DType::bfloat16);
      append(all, {{"y", linear(x, w)}});
    }
    if (repetitions != nullptr) *repetitions = graph.repetitions();
    return all;
  };
  int64_t repetitions = 0;
  const List expected = train(false, nullptr);
  EXPECT_EQ(train(true, &repetitions), expected);
  EXPECT_EQ(repetitions, 3);
}

TEST_F(AutocastCapture, AnUpdateAloneLeavesAStaleShadowStaleWhenItIsSkipped) {
  manual_seed(3);
  Tensor w = randn({4, 6}).to(Device::cuda()).set_requires_grad();
  const Tensor x = randn({3, 6}).to(Device::cuda());
  SGD sgd({w}, {.lr = 0.1});
  const auto output = [&] {
    const Autocast autocast(DType::float16);
    const NoGrad no_grad;
    return values(linear(x, w));
  };
  const auto expected = [&] { return values(linear(x.to(DType::float16), w.detach().to(DType::float16))); };
  w.set_grad(ones({4, 6}, there));
  auto update = capture([&](const Tensor& skip) { sgd.step({.skip = skip}); });
  for (int i = 0; i < 5; ++i) {
    output();
    update(zeros({}, there));
    EXPECT_EQ(output(), expected());
  }
  EXPECT_EQ(update.repetitions(), 2);
  {
    const NoGrad no_grad;
    w.add_(1);
  }
  update(ones({}, there));
  EXPECT_EQ(output(), expected());
}

// ---- the Trainer ----------------------------------------------------------------------------------------------------

class Halves : public Callback {
 public:
  explicit Halves(int64_t at) : at_(at) {}
  void on_step_begin(Trainer& trainer) override {
    if (trainer.step() != at_) return;
    const NoGrad no_grad;
    Tensor(trainer.optimizer().parameters().front()).mul_(0.5);
  }

 private:
  int64_t at_;
};

class Counts : public Callback {
 public:
  explicit Counts(int64_t& repetitions) : repetitions_(repetitions) {}
  void on_step_end(Trainer& trainer) override {
    if (trainer.captured_step() != nullptr) repetitions_ = trainer.captured_step()->repetitions();
  }

 private:
  int64_t& repetitions_;
};

// Losses so large that with float16 the first steps overflow, repeated ones among them.
Outcome train(Arithmetic precision, bool capture) {
  constexpr int64_t steps = 14;
  Sequential net = small_net();
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 4 * steps; ++i) labels.push_back(i % 4);
  DataLoader loader(TensorDataset(randn({4 * steps, 1, 8, 8}), from_values(labels, {4 * steps})), {.batch_size = 4});
  Outcome outcome;
  TrainerOptions options{.epochs = 2, .capture = capture, .clip_norm = 1, .precision = precision};
  options.progress = Progress::off;
  options.lr_schedule = [](double progress) { return 1 - progress / 2; };
  options.loss = [](const Tensor& y, const Tensor& labels) { return cross_entropy(y, labels) * 200; };
  options.callbacks = {std::make_shared<Halves>(8), std::make_shared<Counts>(outcome.repetitions)};
  Trainer trainer(net, AdamW(net.parameters(), {.lr = 1e-2}), options);
  for (const EpochStats& epoch : trainer.fit(loader))
    for (const double number : {epoch.loss, epoch.accuracy}) outcome.numbers.push_back(number);
  append(outcome.numbers, net.state_dict());
  append(outcome.numbers, trainer.optimizer().state_dict());
  outcome.numbers.push_back(trainer.scaler().factor());
  outcome.skipped = 2 * steps - static_cast<int64_t>(trainer.optimizer().state_dict().at("0.step").item());
  return outcome;
}

TEST_F(AutocastCapture, TheTrainersStepsToo) {
  for (const Arithmetic precision : {Arithmetic::bfloat16, Arithmetic::float16}) {
    SCOPED_TRACE(name_of(precision));
    const Outcome expected = train(precision, false), actual = train(precision, true);
    EXPECT_EQ(actual.numbers, expected.numbers);
    EXPECT_EQ(actual.skipped, expected.skipped);
    EXPECT_GT(actual.skipped, precision == Arithmetic::float16 ? 4 : -1) << "the first three are not repeated";
    EXPECT_EQ(expected.repetitions, 0);
    EXPECT_GT(actual.repetitions, 14);
  }
}

// The recorded step casts the changed weight, but its work is dropped.
TEST_F(AutocastCapture, AShadowOfARecordingThatFailedIsNotTaken) {
  manual_seed(3);
  Tensor w = randn({3, 6}).to(Device::cuda()).set_requires_grad();
  const Tensor x = randn({4, 6}).to(Device::cuda());
  const auto product = [&](const Tensor& weight) {
    const Autocast autocast(DType::bfloat16);
    return linear(x, weight).to(DType::float32);
  };
  int calls = 0;
  auto step = capture([&](const Tensor&) {
    const Tensor y = product(w);
    if (++calls == 3) throw IoError("the step fails");
    return y * 1;
  });
  step(x), step(x);
  {
    const NoGrad no_grad;
    w.mul_(2);
  }
  EXPECT_THROW(step(x), IoError);
  const Tensor fresh = w.detach().clone().set_requires_grad();
  EXPECT_EQ(values(product(w)), values(product(fresh)));
}

}  // namespace
}  // namespace dnn::simt::test
