// Finding where a NaN comes from.
#include "dnn/train/stop_on_nan.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/train/toys.h"

namespace dnn {
namespace {

using namespace test;
using testing::ThrowsMessage;

// x / x, which is NaN where x is 0.
class Divide : public Layer {
 public:
  DNN_MODULE()
  Tensor forward(Tensor x) override { return x / x; }
};

// sqrt(|x|), whose gradient at 0 is not finite.
class Root : public Layer {
 public:
  DNN_MODULE()
  Tensor forward(Tensor x) override { return sqrt(abs(x)); }
};

class Block : public Layer {
 public:
  Linear first{2, 2};
  Divide divide;
  Linear last{2, 2};
  DNN_MODULE(first, divide, last)
  Tensor forward(Tensor x) override { return last(divide(first(x))); }
};

void zero(Linear& linear) {
  const NoGrad no_grad;
  linear.weight.zero_();
  linear.bias.zero_();
}

// Trains for one epoch of two batches of one sample, `inputs` [2, 2].
void train(Layer& net, const Tensor& inputs, LossFunction loss = {}, StopOnNaNOptions options = {}) {
  DataLoader loader(TensorDataset(inputs, zeros({2}, {.dtype = DType::int64})), {.batch_size = 1});
  Trainer trainer(
      net, SGD(net.parameters(), {.lr = 0.1}),
      {.loss = std::move(loss), .progress = Progress::off, .callbacks = {std::make_shared<StopOnNaN>(options)}});
  trainer.fit(loader);
}

TEST(StopOnNaN, LetsFiniteRunsAlone) {
  Sequential net(Linear(2, 2), ReLU(), Dropout(0.5), Linear(2, 2));
  EXPECT_NO_THROW(train(net, ones({2, 2})));
}

// The sum of the gradients overflows, no gradient does.
TEST(StopOnNaN, IsNotTakenInByLargeNumbers) {
  Sequential net(Linear(2, 2));
  const auto loss = [](const Tensor& output, const Tensor&) { return sum(output) * 1e38; };
  DataLoader loader(TensorDataset(full({1, 2}, 1.5), zeros({1})));
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0}),
                  {.loss = loss, .progress = Progress::off, .callbacks = {std::make_shared<StopOnNaN>()}});
  {
    const NoGrad no_grad;
    for (Tensor parameter : net.parameters()) parameter.zero_();
  }
  EXPECT_NO_THROW(trainer.fit(loader));
}

TEST(StopOnNaN, NamesTheFirstLayer) {
  Block block;
  zero(block.first);
  Sequential net(Linear(2, 2), std::move(block), ReLU());
  const std::vector<double> before = numbers(net.state_dict());
  EXPECT_THAT(
      [&] {
        train(net, ones({2, 2}));
      },
      ThrowsMessage<NotFiniteError>(
          "stop_on_nan: the loss is nan at step 1 (epoch 1, batch 1); the first layer whose output is not finite "
          "is 1.divide (Divide): 2 of 2 elements, [1, 2]"));
  EXPECT_EQ(numbers(net.state_dict()), before);  // the step was not made
}

TEST(StopOnNaN, NamesTheInput) {
  Sequential net(Linear(2, 2));
  EXPECT_THAT(
      [&] {
        train(net, tensor({1, 2, 3, INFINITY}, {2, 2}));
      },
      ThrowsMessage<NotFiniteError>(testing::EndsWith(
          "at step 2 (epoch 1, batch 2); the input of the net is not finite: 1 of 2 elements, [1, 2]")));
}

TEST(StopOnNaN, NamesTheLoss) {
  Sequential net(Linear(2, 2));
  const auto loss = [](const Tensor& output, const Tensor&) { return log(mean(square(output)) * -1.0); };
  EXPECT_THAT(
      [&] {
        train(net, ones({2, 2}), loss);
      },
      ThrowsMessage<NotFiniteError>(
          "stop_on_nan: the loss is nan at step 1 (epoch 1, batch 1); every layer's output is finite, so it comes "
          "from the loss function or the targets (output [1, 2], target [1])"));
}

TEST(StopOnNaN, NamesTheGradient) {
  Linear first(2, 2), second(2, 2);
  zero(second);
  Sequential net(std::move(first), std::move(second), Root(), Linear(2, 2));
  EXPECT_THAT(
      [&] {
        train(net, ones({2, 2}));
      },
      ThrowsMessage<NotFiniteError>(testing::MatchesRegex(
          "stop_on_nan: the loss is [0-9.]+ at step 1 \\(epoch 1, batch 1\\); the first gradient on the way back "
          "that is not finite is that of 1.bias \\(Linear\\): 2 of 2 elements, \\[2\\]")));
  EXPECT_THAT(
      [&] {
        train(net, ones({2, 2}), {}, {.gradients = false});
      },
      ThrowsMessage<NotFiniteError>(testing::HasSubstr(
          "at step 2 (epoch 1, batch 2); the parameter 0.weight (Linear) was not finite before the step: ")));
}

TEST(StopOnNaN, LeavesTheRandomNumbersAlone) {
  Sequential net(Dropout(0.5), Divide(), Linear(2, 2));
  manual_seed(1);
  EXPECT_THROW(train(net, zeros({2, 2})), NotFiniteError);
  EXPECT_EQ(default_generator().offset(), 1u);  // as after the step, not after the second look
}

TEST(StopOnNaN, LooksEveryFewSteps) {
  Sequential net(Divide(), Linear(2, 2));
  EXPECT_NO_THROW(train(net, tensor({1, 1, 0, 0}, {2, 2}), {}, {.every = 2}));  // the second batch is not looked at
  EXPECT_THAT([] { StopOnNaN({.every = 0}); },
              ThrowsMessage<ArgumentError>("stop_on_nan: every is 0, expected at least 1"));
}

}  // namespace
}  // namespace dnn
