// Steps that are not captured: what no graph can repeat, what fails while it is recorded, and where there are no
// graphs.
#include <gmock/gmock.h>

#include <string>
#include <thread>

#include "core/kernels/runtime.h"
#include "dnn/autograd.h"
#include "dnn/capture.h"
#include "dnn/precision.h"
#include "dnn/profile.h"
#include "tests/harness/errors.h"
#include "tests/simt/captured_net.h"

namespace dnn::simt::test {
namespace {

using ::testing::HasSubstr;

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
