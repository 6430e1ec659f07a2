// Whether cuDNN or our own kernels run, and what happens when a plan fails, is slow or wrong; and what is asked for.
#include "cuda/norm_choice.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>

#include "core/plan_file.h"
#include "cuda/context.h"
#include "dnn/autograd.h"
#include "dnn/cache.h"
#include "dnn/capture.h"
#include "dnn/random.h"
#include "tests/core/failing_file_system.h"
#include "tests/harness/errors.h"
#include "tests/harness/variable.h"
#include "tests/simt/kernel_check.h"
#include "tests/simt/norm_plans.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {
namespace {

using cuda::NormGraph;
using cuda::NormPass;
using cuda::NormSign;
using dnn::test::TemporaryFolder;
using dnn::test::Variable;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class NormChoice : public ::testing::Test {
 protected:
  void SetUp() override { reset(); }
  void TearDown() override {
    unsetenv("DNN_NORM_PLANS");
    set_machine({});
    reset();
  }
  static void reset() {
    cuda::forget_norms();
    set_norm_stand_in({});
    take_norm_runs(), take_norm_graphs();
  }

  struct Case {
    DType type = DType::bfloat16;
    bool add = false, relu = false, training = true;
    Shape shape = {3, 16, 5, 7};
    Layout layout = Layout::channels_last;
    bool weight_wanted = true;
  };

  // Batch normalisation and its gradients on the emulated GPU against the CPU's.
  static void expect_right(const Case& c) {
    manual_seed(3);
    const Shape channels{c.shape[1]};
    const Tensor x = (randn(c.shape) * 2 + 1).to(c.type), grad = randn(c.shape).to(c.type);
    const Tensor add = c.add ? randn(c.shape).to(c.type) : Tensor();
    const Tensor weight = uniform(channels, DType::float32, 0.5, 2), bias = randn(channels);
    const Tensor mean = randn(channels), var = uniform(channels, DType::float32, 0.5, 2);
    const auto compute = [&](Device device) {
      const auto leaf = [&](const Tensor& t, bool image) {
        if (!t.defined()) return t;
        const Tensor there = device.is_cpu() ? t.clone() : image ? to_gpu(t, c.layout) : gpu(t);
        return Tensor(there).set_requires_grad();
      };
      const Tensor in = leaf(x, true), addend = leaf(add, true);
      Tensor w = leaf(weight, false), b = leaf(bias, false);
      if (!c.weight_wanted) w.set_requires_grad(false);
      const Tensor m = mean.to(device).clone(), v = var.to(device).clone();
      const Tensor batches = zeros({}, {.dtype = DType::int64}).to(device);
      const Tensor y = batch_norm(in, w, b, m, v,
                                  {.training = c.training,
                                   .momentum = 0.2,
                                   .activation = c.relu ? Activation::relu : Activation::none,
                                   .add = addend,
                                   .num_batches_tracked = batches});
      y.backward(device.is_cpu() ? grad : to_gpu(grad, c.layout));
      std::vector<Tensor> results{y.detach(), m, v, batches, in.grad(), b.grad()};
      if (c.weight_wanted) results.push_back(w.grad());
      if (c.add) results.push_back(addend.grad());
      std::vector<std::vector<float>> values;
      for (const Tensor& t : results) values.push_back(t.to(cpu).to(DType::float32).to_vector<float>());
      return values;
    };
    const auto actual = compute(cuda), expected = compute(cpu);
    const float tolerance = c.type == DType::bfloat16 ? 0.1f : 0.02f;
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_THAT(actual[i], ::testing::Pointwise(::testing::FloatNear(tolerance), expected[i])) << "result " << i;
  }
};

// ---- what is asked for ----------------------------------------------------------------------------------------------

TEST_F(NormChoice, EveryPatternIsComputed) {
  for (const DType type : {DType::float16, DType::bfloat16}) {
    for (const bool add : {false, true}) {
      for (const bool relu : {false, true}) {
        cuda::forget_norms();
        set_norm_stand_in({{}});
        const Case c{.type = type, .add = add, .relu = relu};
        expect_right(c);
        const auto runs = take_norm_runs();
        EXPECT_THAT(runs, SizeIs(relu ? 7 : 6)) << "compared, timed, fed with NaN and run; the same of the gradient";
        const auto graphs = take_norm_graphs();
        ASSERT_THAT(graphs, SizeIs(2));
        const NormGraph &forward = graphs[0], &backward = graphs[1];
        EXPECT_EQ(forward, (NormGraph{.pass = NormPass::forward,
                                      .dtype = type,
                                      .dims = {3, 16, 5, 7},
                                      .add = add,
                                      .relu = relu,
                                      .running = true,
                                      .eps = 1e-5,
                                      .momentum = 0.2}));
        EXPECT_EQ(backward, (NormGraph{.pass = NormPass::backward,
                                       .dtype = type,
                                       .dims = {3, 16, 5, 7},
                                       .sign = !relu ? NormSign::none
                                               : add ? NormSign::output
                                                     : NormSign::input,
                                       .fork = add && relu}));
        expect_right(c);
        EXPECT_THAT(take_norm_runs(), ElementsAre(0, 0)) << "the second time it is remembered";
        EXPECT_THAT(take_norm_graphs(), IsEmpty());
      }
    }
  }
}

TEST_F(NormChoice, OnePixelIsAnImageToo) {
  set_norm_stand_in({{}});
  expect_right({.add = true, .relu = true, .shape = {40, 24, 1, 1}, .layout = Layout::plain});
  EXPECT_THAT(take_norm_graphs(), SizeIs(2));
}

TEST_F(NormChoice, NothingIsAskedForWithoutAPattern) {
  set_norm_stand_in({{}});
  expect_right({.type = DType::float32});
  expect_right({.layout = Layout::plain});
  expect_right({.shape = {2, 12, 3, 3}});
  expect_right({.training = false});
  EXPECT_THAT(take_norm_graphs(), IsEmpty());
  expect_right({.weight_wanted = false});
  const auto graphs = take_norm_graphs();
  ASSERT_THAT(graphs, SizeIs(1)) << "not for one gradient less";
  EXPECT_EQ(graphs[0].pass, NormPass::forward);
}

TEST_F(NormChoice, NothingIsAskedForWhereAGradientIsAddedOrAParameterIsMisaligned) {
  set_norm_stand_in({{}});
  const Tensor x = to_gpu(uniform({2, 8, 3, 3}, DType::bfloat16), Layout::channels_last);
  Tensor weight = gpu(uniform({8})).set_requires_grad(), bias = gpu(uniform({8})).set_requires_grad();
  Tensor image = to_gpu(x.to(cpu), Layout::channels_last).set_requires_grad();
  const auto step = [&] { sum(batch_norm(image, weight, bias, {}, {}).to(DType::float32)).backward(); };
  step();
  EXPECT_THAT(take_norm_graphs(), SizeIs(2));
  take_norm_runs();
  step();
  EXPECT_THAT(take_norm_runs(), ElementsAre(0)) << "forward; backward adds";
  const Tensor askew = gpu(uniform({9})).slice(0, 1, 9);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(detail::raw(askew)) % 16, 4u);
  batch_norm(x, askew, bias.detach(), {}, {});
  EXPECT_THAT(take_norm_runs(), IsEmpty());
}

TEST_F(NormChoice, GraphsSayWhatTheyAre) {
  EXPECT_EQ(text_of(NormGraph{.dims = {2, 8, 3, 4}, .eps = 1e-5}),
            "batch_norm, forward, bfloat16 [2, 8, 3, 4], eps 1e-05");
  EXPECT_EQ(text_of(NormGraph{.dtype = DType::float16,
                              .dims = {2, 8, 3, 4},
                              .add = true,
                              .relu = true,
                              .running = true,
                              .eps = 1e-3,
                              .momentum = 0.1}),
            "batch_norm, forward, float16 [2, 8, 3, 4], add, relu, running statistics, eps 0.001, momentum 0.1");
  NormGraph backward{.pass = NormPass::backward, .dims = {2, 8, 3, 4}};
  EXPECT_EQ(text_of(backward), "batch_norm, backward, bfloat16 [2, 8, 3, 4]");
  backward.sign = NormSign::input;
  EXPECT_EQ(text_of(backward), "batch_norm, backward, bfloat16 [2, 8, 3, 4], relu by its input");
  backward.sign = NormSign::output, backward.fork = true;
  EXPECT_EQ(text_of(backward), "batch_norm, backward, bfloat16 [2, 8, 3, 4], relu by its output, fork");
  EXPECT_EQ(backward.strides(), (std::array<int64_t, 4>{96, 1, 32, 8}));
}

// ---- what runs ------------------------------------------------------------------------------------------------------

TEST_F(NormChoice, WhereNothingIsOfferedOurKernelsRun) {
  expect_right({.add = true, .relu = true});
  EXPECT_THAT(take_norm_graphs(), SizeIs(2));
  expect_right({.add = true, .relu = true});
  EXPECT_THAT(take_norm_graphs(), IsEmpty()) << "the second time it is remembered";
  EXPECT_THAT(take_norm_runs(), IsEmpty());
  cuda::forget_norms();
  lose_norm_stand_in();
  expect_right({.add = true, .relu = true});
  EXPECT_THAT(take_norm_runs(), IsEmpty());
}

TEST_F(NormChoice, TheFastestPlanRuns) {
  set_norm_stand_in({{.milliseconds = 1e9}, {.milliseconds = 2e-9}, {.milliseconds = 1e-9}});
  expect_right({});
  EXPECT_THAT(take_norm_runs(), ElementsAre(0, 0, 1, 1, 2, 2, 2, 0, 0, 1, 1, 2, 2, 2)) << "each twice, then the last";
  expect_right({});
  EXPECT_THAT(take_norm_runs(), ElementsAre(2, 2));
}

TEST_F(NormChoice, OurKernelsRunWhereTheyAreFaster) {
  set_norm_stand_in({{.milliseconds = 1e9}});
  expect_right({});
  EXPECT_THAT(take_norm_runs(), ElementsAre(0, 0, 0, 0)) << "compared and timed";
  expect_right({});
  EXPECT_THAT(take_norm_runs(), IsEmpty());
}

TEST_F(NormChoice, ALaterProcessComputesAsTheOneBefore) {
  const TemporaryFolder folder;
  const Variable cache("DNN_CACHE_DIR", folder.path().string()), on("DNN_PLAN_CACHE", std::nullopt);
  const auto in_a_later_process = [] {
    save_plans(), detail::forget_plan_files();
    cuda::forget_norms(), take_norm_runs();
    expect_right({});
    return take_norm_runs();
  };
  set_norm_stand_in({{.milliseconds = 2e-9}, {.milliseconds = 1e-9}});
  expect_right({});
  EXPECT_THAT(in_a_later_process(), ElementsAre(1, 1)) << "without a comparison";
  set_norm_stand_in({{.milliseconds = 1e9}});
  clear_plans(), detail::forget_plan_files(), cuda::forget_norms();
  expect_right({});
  set_norm_stand_in({{.milliseconds = 1e-9}});
  EXPECT_THAT(in_a_later_process(), IsEmpty()) << "our own kernels";
  detail::forget_plan_files();
}

TEST_F(NormChoice, TheEnvironmentBoundsHowManyAreCompared) {
  set_norm_stand_in(std::vector<NormStandInPlan>(9));
  expect_right({});
  EXPECT_THAT(take_norm_runs(), ElementsAre(0, 0, 1, 1, 2, 2, 0, 0, 0, 1, 1, 2, 2, 0)) << "three beside our own";
  cuda::forget_norms();
  setenv("DNN_NORM_PLANS", "2", 1);
  expect_right({});
  EXPECT_THAT(take_norm_runs(), ElementsAre(0, 0, 0, 0, 0, 0));
  cuda::forget_norms(), take_norm_graphs();
  setenv("DNN_NORM_PLANS", "1", 1);
  expect_right({});
  EXPECT_THAT(take_norm_graphs(), IsEmpty());
  cuda::forget_norms();
  setenv("DNN_NORM_PLANS", "0", 1);
  EXPECT_ERROR(expect_right({}), ArgumentError,
               "batch_norm: DNN_NORM_PLANS is \"0\", expected a number of plans from 1 on");
}

TEST_F(NormChoice, PlansThatCannotBeBuiltOrWantTooMuchAreLeftOut) {
  set_norm_stand_in({{.builds = false}, {.workspace = int64_t{1} << 40}, {.workspace = 100}});
  expect_right({});
  EXPECT_THAT(take_norm_runs(), ElementsAre(2, 2, 2, 2, 2, 2));
  cuda::forget_norms();
  set_norm_stand_in({{.builds = false}, {.builds = false}, {.builds = false}, {}});
  expect_right({});
  EXPECT_THAT(take_norm_runs(), IsEmpty()) << "nor is it replaced by another";
}

TEST_F(NormChoice, PlansWithWrongResultsAreLeftOut) {
  set_norm_stand_in({{.error = 1}, {.silent = true}, {.milliseconds = 1e-9, .error = 1e-3}});
  for (const bool relu : {false, true}) {
    const Case c{.add = true, .relu = relu};
    expect_right(c);
    take_norm_runs();
    expect_right(c);
    EXPECT_THAT(take_norm_runs(), ElementsAre(2, 2)) << "an error below the rounding is none";
  }
}

TEST_F(NormChoice, AReluThatLosesNanIsNotUsed) {
  set_norm_stand_in({{.keeps_nan = false}, {.milliseconds = 1e-9}});
  expect_right({.relu = true});
  take_norm_runs();
  expect_right({.relu = true});
  EXPECT_THAT(take_norm_runs(), ElementsAre(1, 0)) << "the gradient has no ReLU to lose it";
}

TEST_F(NormChoice, APlanThatFailsGivesWay) {
  set_norm_stand_in({{.runs = 2}, {.milliseconds = 1e-9, .runs = 3}});
  for (int i = 0; i < 3; ++i) expect_right({});
  EXPECT_THAT(take_norm_runs(), ElementsAre(0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1,  // fails when it is used
                                            1, 1))                               // so does the other; then our own
      << "and is not tried again";
  cuda::forget_norms();
  set_norm_stand_in({{.runs = 0}, {.runs = 1}});
  expect_right({});
  EXPECT_THAT(take_norm_runs(), ElementsAre(0, 1, 1, 0, 1, 1)) << "on trial";
}

TEST_F(NormChoice, WithoutRoomForATrialOurKernelsRun) {
  set_norm_stand_in({{}});
  const Shape shape{2, 16, 128, 128};
  const Tensor x = to_gpu(uniform(shape, DType::bfloat16), Layout::channels_last);
  const Tensor weight = gpu(ones({16})), bias = gpu(zeros({16}));
  synchronize(Device::cuda());
  release_cached_memory(Device::cuda());
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  Machine small;
  small.memory = static_cast<int64_t>(total - free) + (3 << 19);  // for y, and half as much
  set_machine(small);
  batch_norm(x, weight, bias, {}, {});
  EXPECT_THAT(take_norm_graphs(), SizeIs(1));
  EXPECT_THAT(take_norm_runs(), IsEmpty());
  set_machine({});
  batch_norm(x, weight, bias, {}, {});
  EXPECT_THAT(take_norm_runs(), IsEmpty()) << "remembered";
}

TEST_F(NormChoice, ARecordedStepTakesWhatWasChosenBefore) {
  set_norm_stand_in({{}});
  const Tensor x = gpu(uniform({40, 8, 1, 1}, DType::bfloat16));
  const Tensor weight = gpu(uniform({8})), bias = gpu(uniform({8}));
  const auto normalised = [&](const Tensor& image) {
    return batch_norm(image, weight, bias, {}, {}, {.activation = Activation::relu});
  };
  const auto expected = normalised(x).to(cpu).to(DType::float32).to_vector<float>();
  for (const bool chosen : {true, false}) {
    auto step = capture(normalised);
    step(x), step(x);
    if (!chosen) cuda::forget_norms();
    take_norm_graphs(), take_norm_runs();
    const auto actual = step(x).to(cpu).to(DType::float32).to_vector<float>();
    EXPECT_EQ(step.graphs(), 1) << step.why_eager();
    EXPECT_THAT(actual, ::testing::Pointwise(::testing::FloatNear(0.02f), expected));
    EXPECT_THAT(take_norm_runs(), SizeIs(chosen ? 1 : 0));
    EXPECT_THAT(take_norm_graphs(), IsEmpty()) << "a trial waits";
  }
  normalised(x);
  EXPECT_THAT(take_norm_graphs(), SizeIs(1)) << "it is chosen the next time";
}

TEST_F(NormChoice, APassOfCudnnTakesNoMoreLaunchesThanOurs) {
  set_norm_stand_in({{}});
  const Case c{.add = true, .relu = true};
  expect_right(c);
  const auto count = [&](const auto& call) {
    const int64_t before = cuda::Context::of(0).counters().launches;
    call();
    return cuda::Context::of(0).counters().launches - before;
  };
  const Tensor x = to_gpu(uniform(c.shape, c.type), c.layout), add = to_gpu(uniform(c.shape, c.type), c.layout);
  const Tensor weight = gpu(uniform({16})), running_mean = gpu(zeros({16})), var = gpu(ones({16}));
  const Tensor batches = gpu(zeros({}, {.dtype = DType::int64})), y = gpu_like(x);
  const Tensor mean = gpu_like(weight), inv_std = gpu_like(weight);
  take_norm_runs();
  EXPECT_EQ(count([&] {
              kernel::batch_norm_train[cuda](x, weight, weight, add, Activation::relu, 1e-5, {mean, var, batches, 0.2},
                                             mean, inv_std, y);
            }),
            2)
      << "the plan, and the counter of batches";
  const kernel::BatchNormGradients out{
      .input = gpu_like(x), .weight = gpu_like(weight), .bias = gpu_like(weight), .add = gpu_like(x)};
  EXPECT_EQ(count([&] {
              kernel::batch_norm_backward[cuda](x, x, y, weight, {}, mean, inv_std, Activation::relu, true, out);
            }),
            1);
  EXPECT_THAT(take_norm_runs(), ElementsAre(0, 0));
  EXPECT_EQ(batches.item(), 1);
}

TEST_F(NormChoice, OnlySoManyChoicesAreRemembered) {
  const Tensor one = gpu(ones({8}));
  for (int64_t width = 2; width <= static_cast<int64_t>(cuda::norm_choices) + 9; ++width)
    batch_norm(to_gpu(ones({1, 8, 1, width}, {.dtype = DType::float16}), Layout::channels_last), one, one, {}, {});
  EXPECT_EQ(cuda::chosen_norms(), cuda::norm_choices);
}

}  // namespace
}  // namespace dnn::simt::test
