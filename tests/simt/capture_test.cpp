// Captured steps: what is repeated is what the step would do, bit for bit, with one launch, and what has changed is
// recorded anew.
#include "dnn/capture.h"

#include <gmock/gmock.h>

#include "core/kernels/runtime.h"
#include "dnn/autograd.h"
#include "tests/simt/captured_net.h"

namespace dnn::simt::test {
namespace {

using ::testing::HasSubstr;

TEST_F(CaptureTest, AStepIsRepeatedBitForBit) {
  const std::vector<Batch> data = batches(7);
  const Losses expected = run_eager(data);
  manual_seed(3);
  Net net;
  auto step = capture([&](const Tensor& x, const Tensor& y) { return net.step(x, y); });
  EXPECT_EQ(run(net, data, step), expected);
  EXPECT_EQ(step.graphs(), 1);
  EXPECT_EQ(step.recordings(), 1);
  EXPECT_EQ(step.repetitions(), 4);
  EXPECT_EQ(step.why_eager(), "");
  EXPECT_GT(step.nodes(), 5);
}

TEST_F(CaptureTest, ARepetitionIsOneLaunchWithoutWaitOrMemory) {
  const std::vector<Batch> data = batches(6);
  Net net;
  auto step = capture([&](const Tensor& x, const Tensor& y) { return net.step(x, y); });
  for (int i = 0; i < 4; ++i) step(data[static_cast<size_t>(i)].x, data[static_cast<size_t>(i)].y);
  const Counters before = counters();
  const int64_t in_use = memory().in_use, waits = host_waits(cuda);
  for (size_t i = 4; i < 6; ++i) step(data[i].x, data[i].y);
  const Counters after = counters();
  EXPECT_EQ(after.graph_launches - before.graph_launches, 2);
  EXPECT_EQ(after.graph_nodes - before.graph_nodes, 2 * step.nodes());
  EXPECT_EQ(after.launches, before.launches) << "no number changes";
  EXPECT_EQ(after.waits, before.waits);
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(host_waits(cuda), waits);
  EXPECT_EQ(memory().in_use, in_use);
}

TEST_F(CaptureTest, DropoutDrawsNewMasksWithOneSmallLaunchMore) {
  const std::vector<Batch> data = batches(7);
  const Losses expected = run_eager(data, 0.5);
  const uint64_t offset = default_generator().offset();
  manual_seed(3);
  Net net(0.5);
  auto step = capture([&](const Tensor& x, const Tensor& y) { return net.step(x, y); });
  EXPECT_EQ(run(net, data, step), expected);
  EXPECT_EQ(step.repetitions(), 4);
  EXPECT_EQ(default_generator().offset(), offset) << "a checkpoint must hold the same state";
  const Counters before = counters();
  step(data[0].x, data[0].y);
  EXPECT_EQ(counters().launches - before.launches, 1);
}

TEST_F(CaptureTest, RandomTensorsAreNewOnes) {
  const auto draw = [](const Tensor& x) {
    return std::vector<Tensor>{x + rand_like(x), randn_like(x), randint(0, 1000, x.shape(), {.device = cuda})};
  };
  const auto values = [&](auto&& step) {
    manual_seed(5);
    std::vector<double> all;
    for (int i = 0; i < 5; ++i)
      for (const Tensor& t : step(x))
        for (const double value : t.to(DType::float64).template to_vector<double>()) all.push_back(value);
    return all;
  };
  auto step = capture(draw);
  EXPECT_EQ(values(step), values(draw));
  EXPECT_EQ(step.repetitions(), 2);
}

TEST_F(CaptureTest, StepsInALoopAreOneLaunchAndDrawAllTheirNumbers) {
  const std::vector<Batch> data = batches(12);
  const Losses expected = run_eager(data, 0.3);
  manual_seed(3);
  Net net(0.3);
  constexpr int together = 2;
  auto steps = capture([&](const std::vector<Tensor>& inputs) {
    std::vector<Tensor> losses;
    for (size_t i = 0; i < inputs.size(); i += 2) losses.push_back(net.step(inputs[i], inputs[i + 1]));
    return losses;
  });
  Losses actual;
  for (size_t i = 0; i < data.size(); i += together)
    for (const Tensor& loss : steps({data[i].x, data[i].y, data[i + 1].x, data[i + 1].y}))
      actual.push_back(loss.to_vector<float>());
  actual.push_back(net.numbers());
  EXPECT_EQ(actual, expected);
  EXPECT_EQ(steps.repetitions(), 3);
}

TEST_F(CaptureTest, ConvolutionsAndNormalisation) {
  const auto train = [](bool captured) {
    manual_seed(4);
    std::vector<Tensor> parameters{parameter({4, 3, 3, 3}), parameter({4}), parameter({4}), parameter({5, 16})};
    const Tensor mean = zeros({4}, {.device = cuda}), var = ones({4}, {.device = cuda});
    const auto body = [&](const Tensor& image) {
      for (Tensor& p : parameters) p.zero_grad();
      const Tensor y = batch_norm(conv2d(image, parameters[0], {}, {.padding = 1}), parameters[1], parameters[2], mean,
                                  var, {.training = true, .activation = Activation::relu});
      const Tensor loss = square(linear(max_pool2d(y, {.kernel = 2}).flatten(), parameters[3])).mean();
      loss.backward();
      std::vector<Tensor> gradients;
      for (const Tensor& p : parameters) gradients.push_back(p.grad());
      sgd_update_(parameters, gradients, {}, {.lr = 0.05});
      return loss;
    };
    auto step = capture(body);
    Losses result;
    for (int i = 0; i < 6; ++i) {
      const Tensor image = randn({2, 3, 4, 4}).to(cuda);
      result.push_back((captured ? step(image) : body(image)).to_vector<float>());
    }
    result.push_back(mean.to_vector<float>());
    result.push_back(parameters[0].to_vector<float>());
    EXPECT_EQ(step.repetitions(), captured ? 3 : 0);
    return result;
  };
  EXPECT_EQ(train(true), train(false));
}

TEST_F(CaptureTest, OtherShapesHaveGraphsOfTheirOwn) {
  std::vector<Batch> data;
  for (int epoch = 0; epoch < 4; ++epoch) {
    for (const Batch& batch : batches(2)) data.push_back(batch);
    data.push_back(batches(1, 2).front());
  }
  const Losses expected = run_eager(data);
  manual_seed(3);
  Net net;
  auto step = capture([&](const Tensor& x, const Tensor& y) { return net.step(x, y); });
  EXPECT_EQ(run(net, data, step), expected);
  EXPECT_EQ(step.graphs(), 2);
  EXPECT_EQ(step.repetitions(), 5 + 1);
}

TEST_F(CaptureTest, TheLeastUsedGraphGivesWay) {
  auto step = capture([](const Tensor& x) { return x * 2; }, {.most_graphs = 2});
  for (const int64_t n : {2, 3, 4})
    for (int i = 0; i < 4; ++i) step(ones({n}, {.device = cuda}));
  EXPECT_EQ(step.graphs(), 2);
  EXPECT_EQ(counters().live_graphs, 2);
}

TEST_F(CaptureTest, ModesAndGradientsHaveGraphsOfTheirOwn) {
  int64_t mode = 0;
  Tensor w = parameter({6});
  auto step = capture([&](const Tensor& x) { return mode == 0 ? x * w : x + w; }, {.mode = [&] { return mode; }});
  const auto call_often = [&] {
    for (int i = 0; i < 4; ++i) step(x);
    return step(x).to_vector<float>();
  };
  const std::vector<float> product = call_often();
  EXPECT_EQ(product, (x * w).to_vector<float>());
  mode = 1;
  EXPECT_EQ(call_often(), (x + w).to_vector<float>());
  EXPECT_EQ(step.graphs(), 2);
  const NoGrad no_grad;
  call_often();
  EXPECT_EQ(step.graphs(), 3);
}

// ---- what has changed -----------------------------------------------------------------------------------------------

TEST_F(CaptureTest, AMovedParameterIsRecordedAnew) {
  Tensor w = ones({6}, {.device = cuda});
  const Tensor view = w.slice(0, 0, 3);  // keeps the old elements alive
  auto step = capture([&](const Tensor& x) { return x * w; });
  for (int i = 0; i < 4; ++i) step(x);
  w.set_data(full({6}, 3, {.device = cuda}));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(step(x).to_vector<float>(), (x * 3).to_vector<float>());
  EXPECT_EQ(step.recordings(), 2) << "after two ordinary calls";
  EXPECT_EQ(step.repetitions(), 1 + 2);
  w = Tensor();
}

// The first call after the change makes the new counter, which must not become part of the graph.
TEST_F(CaptureTest, WhatIsMadeOnceAfterAChangeIsNotRepeated) {
  Tensor w = ones({6}, {.device = cuda}), sum;
  auto step = capture([&](const Tensor& x) {
    if (!sum.defined()) sum = zeros({6}, {.device = cuda});
    sum.add_(w);
    return x * w;
  });
  for (int i = 0; i < 5; ++i) step(x);
  EXPECT_EQ(sum.to_vector<float>(), std::vector<float>(6, 5));
  w.set_data(full({6}, 3, {.device = cuda}));
  sum = Tensor();
  for (int i = 0; i < 6; ++i) step(x);
  EXPECT_EQ(sum.to_vector<float>(), std::vector<float>(6, 6 * 3));
  EXPECT_EQ(step.recordings(), 2);
}

TEST_F(CaptureTest, AStepThatReplacesItsTensorsStaysAnOrdinaryOne) {
  Tensor sum = zeros({2, 6}, {.device = cuda});
  auto step = capture([&](const Tensor& x) {
    sum = sum + x;
    return sum * 1.0;
  });
  for (int i = 1; i < 12; ++i) EXPECT_EQ(step(x).to_vector<float>(), (x * i).to_vector<float>()) << i;
  EXPECT_THAT(step.why_eager(), HasSubstr("two calls differ"));
  EXPECT_EQ(step.repetitions(), 0);
}

TEST_F(CaptureTest, ANumberThatChangesIsNotRepeated) {
  double rate = 1;
  Tensor w = zeros({2, 6}, {.device = cuda});
  auto step = capture([&](const Tensor& x) { w.add_(x, rate); });
  double total = 0;
  for (int i = 0; i < 10; ++i) {
    step(x);
    total += rate;
    rate *= 2;
  }
  EXPECT_EQ(w.to_vector<float>(), (x * total).to_vector<float>());
  EXPECT_THAT(step.why_eager(), HasSubstr("of other shapes, tensors or numbers"));
}

TEST_F(CaptureTest, ANumberInATensorMayChange) {
  Tensor rate = zeros({}, {.device = cuda}), w = zeros({2, 6}, {.device = cuda});
  auto step = capture([&](const Tensor& x) { w.add_(x * rate); });
  for (int i = 0; i < 6; ++i) {
    rate.fill_(i);
    step(x);
  }
  EXPECT_EQ(w.to_vector<float>(), (x * 15).to_vector<float>());
  EXPECT_EQ(step.repetitions(), 3);
}

TEST_F(CaptureTest, ConditionsAreAsked) {
  int64_t factor = 2;
  auto step = capture([&](const Tensor& x) {
    detail::repeat_while("the factor", [&, now = factor] { return factor == now; });
    return x * factor;
  });
  for (int i = 0; i < 6; ++i) EXPECT_EQ(step(x).to_vector<float>(), (x * 2).to_vector<float>());
  factor = 5;
  for (int i = 0; i < 6; ++i) EXPECT_EQ(step(x).to_vector<float>(), (x * 5).to_vector<float>());
  EXPECT_EQ(step.recordings(), 2);
}

TEST_F(CaptureTest, TheHostsEffectsAreRepeated) {
  int calls = 0, effects = 0;
  Tensor w = zeros({2, 6}, {.device = cuda});
  auto step = capture([&](const Tensor& x) {
    ++calls;
    detail::repeat([&] { ++effects; }, [&] { --effects; });
    w.add_(x);
  });
  uint64_t version = 0;
  for (int i = 0; i < 6; ++i) {
    step(x);
    EXPECT_GT(w.version(), version);
    version = w.version();
  }
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(effects, 6);
}

TEST_F(CaptureTest, GradientsMustBeInTheStateOfTheRecording) {
  const auto train = [&](bool captured) {
    Tensor w = ones({6}, {.device = cuda}).set_requires_grad();
    const auto body = [&](const Tensor& x) { (x * w).sum().backward(); };
    auto step = capture(body);
    std::vector<std::vector<float>> seen;
    for (int i = 0; i < 12; ++i) {
      if (i < 8 || i % 2 == 0) w.zero_grad();  // later every second gradient is added to the one before
      captured ? step(x) : body(x);
      seen.push_back(w.grad().to_vector<float>());
    }
    if (captured) {
      EXPECT_GT(step.repetitions(), 3);
    }
    return seen;
  };
  EXPECT_EQ(train(true), train(false));
}

TEST_F(CaptureTest, InvalidateRecordsAnew) {
  double factor = 2;
  auto step = capture([&](const Tensor& x) { return x * factor; });
  for (int i = 0; i < 5; ++i) step(x);
  factor = 3;
  EXPECT_EQ(step(x).to_vector<float>(), (x * 2).to_vector<float>()) << "nobody has told";
  step.invalidate();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(step(x).to_vector<float>(), (x * 3).to_vector<float>());
  EXPECT_EQ(step.graphs(), 1);
}

TEST_F(CaptureTest, ABadLabelInARepetitionIsTold) {
  const std::vector<Batch> data = batches(1);
  Net net;
  auto step = capture([&](const Tensor& x, const Tensor& y) { return net.step(x, y); });
  for (int i = 0; i < 5; ++i) step(data[0].x, data[0].y);
  synchronize(cuda);
  step(data[0].x, data[0].y + 70);
  EXPECT_THROW(synchronize(cuda), IndexError);
  synchronize(cuda);
}

}  // namespace
}  // namespace dnn::simt::test
