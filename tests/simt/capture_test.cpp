// Captured steps: what is repeated is what the step would do, bit for bit, with one launch, and what cannot be repeated
// is not.
#include "dnn/capture.h"

#include <gmock/gmock.h>

#include <cmath>
#include <thread>

#include "core/kernels/runtime.h"
#include "dnn/autograd.h"
#include "dnn/precision.h"
#include "dnn/profile.h"
#include "tests/harness/errors.h"
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

// ---- what cannot be repeated ----------------------------------------------------------------------------------------

template <class Step>
void call_often(Step& step, const Tensor& x, int calls = 4) {
  for (int i = 0; i < calls; ++i) step(x);
}

TEST_F(CaptureTest, AWaitThrows) {
  auto step = capture([](const Tensor& x) { return x * x.sum().item(); });
  step(x), step(x);
  EXPECT_ERROR(step(x), CaptureError,
               "capture: the step that is recorded on cuda:0 has a wait for a copy to the host, expected one that a "
               "graph can repeat (see CaptureOptions::required)");
  EXPECT_EQ((x + 1).to_vector<float>().front(), 1) << "the stream is usable";
  EXPECT_THROW(step(x), CaptureError);
}

TEST_F(CaptureTest, UnlessItIsAllowedTo) {
  auto step = capture([](const Tensor& x) { return x * x.sum().item(); }, {.required = false});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(step(x).to_vector<float>(), (x * 66).to_vector<float>());
  EXPECT_EQ(step.why_eager(), "the step waits for cuda:0");
}

TEST_F(CaptureTest, AWaitInTheMiddleOfARecordingEndsIt) {
  int calls = 0;
  Tensor w = zeros({2, 6}, {.device = cuda});
  auto step = capture(
      [&](const Tensor& x) {
        w.add_(x);
        if (++calls == 3) synchronize(cuda);
        w.mul_(2.0);
        return w * 1.0;
      },
      {.required = false});
  Tensor expected = zeros({2, 6}, {.device = cuda});
  for (int i = 0; i < 8; ++i) {
    expected = (expected + x) * 2.0;
    EXPECT_EQ(step(x).to_vector<float>(), expected.to_vector<float>()) << i;
  }
  EXPECT_GT(step.repetitions(), 0);
}

TEST_F(CaptureTest, EverythingElseThatNoGraphCanRepeat) {
  const auto refusal = [&](auto body) {
    auto step = capture(body);
    try {
      call_often(step, x);
    } catch (const CaptureError& error) {
      return std::string(error.what());
    }
    return step.why_eager();
  };
  Tensor on_cpu = ones({6});
  EXPECT_THAT(refusal([&](const Tensor& x) { return x * on_cpu.to(cuda); }), HasSubstr("a copy from the host"));
  EXPECT_THAT(refusal([&](const Tensor& x) { return on_cpu.add_(1), x * 2; }), HasSubstr("an operation on the CPU"));
  EXPECT_THAT(refusal([](Tensor x) { return x.mul_(2.0); }), HasSubstr("a change of an input in place"));
  EXPECT_THAT(refusal([](const Tensor& x) { return synchronize(cuda), x * 2; }), HasSubstr("a wait for the GPU"));
  EXPECT_THAT(refusal([](const Tensor& x) { return default_generator().uniform(), x * 2; }),
              HasSubstr("random numbers drawn on the host"));
  Tensor w = parameter({6});
  w.register_hook([](const Tensor&) {});
  EXPECT_THAT(refusal([&](const Tensor& x) { (x * w).sum().backward(); }), HasSubstr("a hook on a gradient"));
}

TEST_F(CaptureTest, AnErrorInTheStepEndsTheRecording) {
  int calls = 0;
  auto step = capture([&](const Tensor& x) {
    const Tensor y = x * 2;
    return ++calls == 3 ? y + ones({7}, {.device = cuda}) : y;
  });
  step(x), step(x);
  EXPECT_THROW(step(x), ShapeError);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(step(x).to_vector<float>(), (x * 2).to_vector<float>());
  EXPECT_EQ(step.repetitions(), 2);
}

TEST_F(CaptureTest, AnErrorWhileItIsRecordedTakesBackWhatTheHostDid) {
  int calls = 0, effects = 0;
  std::string order;
  auto step = capture([&](const Tensor& x) {
    const Tensor y = dropout(x, {.p = 0.5});
    detail::repeat([&] { ++effects; }, [&] { --effects, order += 'a'; });
    detail::repeat([&] { ++effects; }, [&] { --effects, order += 'b'; });
    if (++calls >= 3) throw IoError("the step fails");
    return y;
  });
  step(x), step(x);
  const uint64_t offset = default_generator().offset();
  EXPECT_THROW(step(x), IoError);
  EXPECT_EQ(effects, 4);
  EXPECT_EQ(order, "ba");
  EXPECT_EQ(default_generator().offset(), offset);
  auto waits = capture([&](const Tensor& x) {
    detail::repeat([&] { ++effects; }, [&] { --effects; });
    return x * (calls-- > 1 ? 1 : x.sum().item());
  });
  waits(x), waits(x);
  EXPECT_THROW(waits(x), CaptureError);
  EXPECT_EQ(effects, 6);
}

TEST_F(CaptureTest, WithoutMemoryForAGraphTheStepIsAnOrdinaryOne) {
  int calls = 0;
  Tensor w = parameter({6});
  auto step = capture(
      [&](const Tensor& x) {
        w.zero_grad();
        if (++calls == 3) detail::fail_allocation(5);
        const Tensor y = dropout(x * w, {.p = 0.5});
        y.sum().backward();
        return y * 1.0;
      },
      {.required = false});
  manual_seed(8);
  std::vector<std::vector<float>> expected;
  for (int i = 0; i < 5; ++i) expected.push_back(dropout(x * w, {.p = 0.5}).to_vector<float>());
  manual_seed(8);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(step(x).to_vector<float>(), expected[static_cast<size_t>(i)]) << i;
  EXPECT_THAT(step.why_eager(), HasSubstr("refused by fail_allocation"));
  EXPECT_EQ(w.grad().numel(), 6);
}

TEST_F(CaptureTest, OtherThreadsWaitForTheRecording) {
  int calls = 0;
  std::thread other;
  Tensor elsewhere;
  auto step = capture([&](const Tensor& x) {
    if (++calls == 3) other = std::thread([&] { elsewhere = ones({3}, {.device = cuda}) * 4; });
    Tensor y = x * 2;
    for (int i = 0; i < 20; ++i) y = y + x;
    return y;
  });
  call_often(step, x, 5);
  other.join();
  EXPECT_EQ(step.nodes(), 21);
  EXPECT_EQ(elsewhere.to_vector<float>(), std::vector<float>(3, 4));
  EXPECT_EQ(step(x).to_vector<float>(), (x * 22).to_vector<float>());
}

TEST_F(CaptureTest, WhatIsAllowedOfArithmeticHasGraphsOfItsOwn) {
  auto step = capture([](const Tensor& x) { return x * 2; });
  const Tf32 before = tf32_allowed();
  call_often(step, x);
  allow_nondeterminism(true);
  call_often(step, x);
  EXPECT_EQ(step.graphs(), 2) << "the plans in the first may not be those";
  allow_tf32({.convolution = !before.convolution});
  call_often(step, x);
  EXPECT_EQ(step.graphs(), 3);
  allow_tf32(before), allow_nondeterminism(false);
  step(x);
  EXPECT_EQ(step.recordings(), 3) << "the first serves again";
}

// ---- where there is no graph ----------------------------------------------------------------------------------------

TEST_F(CaptureTest, OnTheCpuItIsAPlainCall) {
  auto step = capture([](const Tensor& x) { return x * 2; });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(step(ones({2})).to_vector<float>(), std::vector<float>(2, 2));
  EXPECT_EQ(step.why_eager(), "its inputs lie on the CPU");
  EXPECT_EQ(step.graphs(), 0);
}

TEST_F(CaptureTest, InputsAreBroughtToTheDevice) {
  auto step = capture([](const Tensor& x) { return x * 2; }, {.device = cuda});
  for (const int64_t n : {3, 100000})  // the larger one through the stream of copies
    for (int i = 0; i < 5; ++i)
      EXPECT_EQ(step(full({n}, i)).to_vector<float>(),
                std::vector<float>(static_cast<size_t>(n), static_cast<float>(2 * i)));
  EXPECT_EQ(step.graphs(), 2);
}

TEST_F(CaptureTest, PartsOfTensorsAreInputsToo) {
  const Tensor all = arange(0.0, 40.0, 1.0).to(DType::float32).to(cuda).reshape({10, 4});
  auto step = capture([](const Tensor& rows) { return rows * 2; });
  for (int64_t i = 0; i < 5; ++i) {
    const Tensor rows = all.slice(0, 2 * i, 2 * i + 2), columns = all.slice(1, 1, 3);
    EXPECT_EQ(step(rows).to_vector<float>(), (rows * 2).to_vector<float>());
    EXPECT_EQ(step(columns).to_vector<float>(), (columns * 2).contiguous().to_vector<float>());
  }
  EXPECT_EQ(step.repetitions(), 4);
}

TEST_F(CaptureTest, TwoDevices) {
  auto step = capture([](const Tensor& a, const Tensor&) { return a * 2; });
  EXPECT_ERROR(step(x, ones({2}, {.device = Device::cuda(1)})), DeviceError,
               "capture: the inputs lie on cuda:0 and cuda:1, expected one GPU");
}

TEST_F(CaptureTest, InsideAProfilerOrAnotherStepItIsAPlainCall) {
  auto step = capture([](const Tensor& x) { return x * 2; });
  call_often(step, x);
  {
    Profiler profiler;
    const auto running = profiler.start();
    step(x);
  }
  EXPECT_EQ(step.why_eager(), "a profiler watches it");
  auto outer = capture([&](const Tensor& x) { return step(x) + 1; });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(outer(x).to_vector<float>(), (x * 2 + 1).to_vector<float>());
  EXPECT_EQ(outer.repetitions(), 2);
  EXPECT_EQ(step.why_eager(), "it is part of another captured step");
  cuda::Context::of(0).set_sync_launch(true);
  step(x);
  cuda::Context::of(0).set_sync_launch(false);
  EXPECT_EQ(step.why_eager(), "DNN_SYNC_LAUNCH=1 waits after each launch");
}

TEST_F(CaptureTest, OptionsOutOfRange) {
  const auto body = [](const Tensor& x) { return x; };
  EXPECT_ERROR(capture(body, {.eager_calls = 0}), ArgumentError, "capture: eager_calls is 0, expected at least 1");
  EXPECT_ERROR(capture(body, {.most_graphs = 0}), ArgumentError, "capture: most_graphs is 0, expected at least 1");
}

}  // namespace
}  // namespace dnn::simt::test
