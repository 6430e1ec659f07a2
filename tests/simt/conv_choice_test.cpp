// Which of several plans runs, what happens when one fails, and what the slots ask for.
#include "tests/simt/conv_choice.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "core/storage.h"
#include "cuda/context.h"
#include "dnn/ops.h"
#include "dnn/precision.h"
#include "dnn/random.h"
#include "tests/harness/errors.h"
#include "tests/simt/conv_plans.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

using cuda::ConvGraph;
using cuda::ConvPass;
using detail::Layout;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(ConvChoice, ASinglePlanRunsUntimed) {
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(0));
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(0));
  EXPECT_THAT(take_graphs(), SizeIs(1)) << "the second time it is remembered";
}

TEST_F(ConvChoice, TheFastestPlanRuns) {
  set_stand_in({.fused_plans = {{.milliseconds = 3}, {.milliseconds = 1}, {.milliseconds = 2}}});
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(0, 1, 2, 1)) << "timed, then run";
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(1));
}

TEST_F(ConvChoice, TheEnvironmentBoundsHowManyAreTimed) {
  set_stand_in({.fused_plans = {{.milliseconds = 3}, {.milliseconds = 2}, {.milliseconds = 1}}});
  setenv("DNN_CONV_PLANS", "2", 1);
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(0, 1, 1));
  cuda::forget_convs();
  setenv("DNN_CONV_PLANS", "1", 1);
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(0));
  cuda::forget_convs();
  for (const char* text : {"many", "0", "-3", "", "2 or 3"}) {
    setenv("DNN_CONV_PLANS", text, 1);
    EXPECT_ERROR(expect_right(), ArgumentError,
                 std::string("conv2d: DNN_CONV_PLANS is \"") + text + "\", expected a number of plans from 1 on");
  }
}

TEST_F(ConvChoice, PlansThatCannotBeBuiltOrWantTooMuchAreLeftOut) {
  set_stand_in({.fused_plans = {{.builds = false}, {.workspace = int64_t{1} << 40}, {.workspace = 100}}});
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(2));
  set_stand_in({.plans = {{.workspace = int64_t{1} << 40}}});
  try {
    conv2d(gpu(ones({1, 1, 2, 2})), gpu(ones({1, 1, 1, 1})));
    FAIL() << "expected BackendError";
  } catch (const BackendError& error) {
    EXPECT_THAT(error.what(), HasSubstr("; loops0 wants 1099511627776 bytes of workspace, 1"));
    EXPECT_THAT(error.what(), HasSubstr(" are allowed)"));
  }
}

TEST_F(ConvChoice, APlanThatFailsGivesWayToTheNext) {
  set_stand_in({.plans = {{.runs = false}, {.runs = false}, {}}, .fused_plans = {}});
  setenv("DNN_CONV_PLANS", "1", 1);
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(0, 1, 2));
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(2)) << "those that failed are not tried again";
}

TEST_F(ConvChoice, WhereMemoryIsShortAPlanThatNeedsLessRuns) {
  set_stand_in({.fused_plans = {{.milliseconds = 1, .workspace = 1 << 20}, {.milliseconds = 2}}});
  expect_right();
  take_runs();
  // Room for the tensors, but not for the workspace.
  const Tensor x = gpu(randn({2, 5, 6, 6})), w = gpu(randn({4, 5, 3, 3})), b = gpu(randn({4}));
  synchronize(Device::cuda());
  release_cached_memory(Device::cuda());
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  Machine small;
  small.memory = static_cast<int64_t>(total - free) + (1 << 19);
  set_machine(small);
  const Tensor y = conv2d(x, w, b);
  EXPECT_THAT(take_runs(), ElementsAre(1));
}

TEST_F(ConvChoice, WithoutAFusedPlanTheSlotComposes) {
  set_stand_in({.fused_plans = {}});
  for (const DType type : {DType::float32, DType::bfloat16}) {
    for (const Activation activation : {Activation::none, Activation::relu}) {
      for (const bool with_add : {false, true}) expect_right(activation, type, with_add);
    }
  }
}

TEST_F(ConvChoice, AReluThatLosesNanIsNotUsed) {
  set_stand_in({.fused_plans = {{.milliseconds = 1, .keeps_nan = false}, {.milliseconds = 2}}});
  expect_right(Activation::relu, DType::bfloat16);
  EXPECT_THAT(take_runs(), ElementsAre(0, 1, 0, 1, 1)) << "timed, fed with NaN, run";
  cuda::forget_convs();
  set_stand_in({.fused_plans = {{.keeps_nan = false}}});
  expect_right(Activation::relu, DType::bfloat16);
  const Tensor nan = full({1, 3, 4, 4}, NAN, {.dtype = DType::bfloat16}),
               w = ones({2, 3, 3, 3}, {.dtype = DType::bfloat16});
  const Tensor y =
      conv2d(gpu(nan), gpu(w), gpu(zeros({2}, {.dtype = DType::bfloat16})), {.activation = Activation::relu});
  for (const float value : y.to(DType::float32).to_vector<float>()) EXPECT_TRUE(std::isnan(value));
}

TEST_F(ConvChoice, AReluIsNeverRunUntried) {
  // More plans lose NaN than are tried: the last is good, but nobody knows.
  std::vector<StandInPlan> plans(9, {.keeps_nan = false});
  plans.push_back({});
  set_stand_in({.fused_plans = plans});
  const TensorOptions half{.dtype = DType::bfloat16};
  const Tensor nan = full({1, 3, 4, 4}, NAN, half);
  const auto run = [&] {
    const Tensor y =
        conv2d(gpu(nan), gpu(ones({2, 3, 3, 3}, half)), gpu(zeros({2}, half)), {.activation = Activation::relu});
    for (const float value : y.to(DType::float32).to_vector<float>()) EXPECT_TRUE(std::isnan(value));
  };
  run();
  EXPECT_THAT(take_graphs(), SizeIs(2)) << "composed";
  take_runs();
  run();
  EXPECT_THAT(take_runs(), ElementsAre(0)) << "of the convolution alone";
}

TEST_F(ConvChoice, WithoutAnyPlanTheErrorNamesTheShapesAndTheReason) {
  set_stand_in({.plans = {{.runs = false}}, .fused_plans = {}});
  const Tensor x = gpu(ones({2, 3, 4, 4})), w = gpu(ones({5, 3, 3, 3}));
  EXPECT_ERROR(conv2d(x, w), BackendError,
               "conv2d: no plan of cuDNN computes this, expected one (conv2d, forward, float32, x [2, 3, 4, 4] strides "
               "[48, 1, 12, 3] aligned to 16, weight [5, 3, 3, 3] strides [27, 1, 9, 3] aligned to 16, y [2, 5, 2, 2] "
               "strides [20, 1, 10, 5] aligned to 16, stride 1x1, padding 0x0, dilation 1x1, groups 1; loops0 fails "
               "when it runs)");
  cuda::forget_convs();
  set_stand_in({.plans = {}, .fused_plans = {}});
  try {
    conv2d(x, w);
    FAIL() << "expected BackendError";
  } catch (const BackendError& error) {
    EXPECT_THAT(error.what(), HasSubstr("groups 1; the stand-in was told so)"));
  }
}

TEST_F(ConvChoice, OnlySoManyChoicesAreRemembered) {
  const Tensor w = gpu(ones({1, 1, 1, 1}));
  for (int64_t size = 1; size <= static_cast<int64_t>(cuda::conv_choices) + 9; ++size)
    conv2d(gpu(ones({1, 1, 1, size})), w);
  EXPECT_EQ(cuda::chosen_convs(), cuda::conv_choices);
  take_graphs();
  conv2d(gpu(ones({1, 1, 1, 100})), w);
  EXPECT_THAT(take_graphs(), IsEmpty());
  conv2d(gpu(ones({1, 1, 1, 1})), w);
  EXPECT_THAT(take_graphs(), SizeIs(1)) << "the one unused for longest was forgotten";
}

// ---- what the slots ask for -----------------------------------------------------------------------------------------

TEST_F(ConvChoice, SlotsAskForChannelsLastAndFloat64ForPlain) {
  for (const DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
    const Tensor x = gpu(ones({2, 3, 5, 5}, {.dtype = type})), w = gpu(ones({4, 3, 3, 3}, {.dtype = type}));
    const Tensor y = conv2d(x, w);
    const auto graphs = take_graphs();
    ASSERT_THAT(graphs, SizeIs(1));
    const bool plain = type == DType::float64;
    EXPECT_EQ(graphs[0].x.strides[1], plain ? 25 : 1);
    EXPECT_EQ(graphs[0].weight.strides[1], plain ? 9 : 1);
    EXPECT_EQ(graphs[0].dtype, type);
    EXPECT_EQ(detail::layout_of(y), plain ? Layout::plain : Layout::channels_last);
  }
}

TEST_F(ConvChoice, TheSwitchForTf32IsPartOfTheGraph) {
  const Tensor x = gpu(ones({1, 1, 3, 3})), w = gpu(ones({1, 1, 3, 3}));
  const Tf32 before = tf32_allowed();
  for (const bool allowed : {true, false}) {
    allow_tf32({.convolution = allowed});
    conv2d(x, w);
    const auto graphs = take_graphs();
    ASSERT_THAT(graphs, SizeIs(1));
    EXPECT_EQ(graphs[0].tensor_cores, allowed);
  }
  allow_tf32(before);
}

TEST_F(ConvChoice, TheSwitchForNondeterminismIsPartOfTheGraph) {
  const Tensor x = gpu(ones({1, 1, 3, 3})), w = gpu(ones({1, 1, 3, 3}));
  for (const bool allowed : {true, false}) {
    allow_nondeterminism(allowed);
    conv2d(x, w);
    const auto graphs = take_graphs();
    ASSERT_THAT(graphs, SizeIs(1)) << "of its own";
    EXPECT_EQ(graphs[0].deterministic, !allowed);
    EXPECT_EQ(text_of(graphs[0]).find(", in any order") != std::string::npos, allowed);
  }
}

TEST_F(ConvChoice, PlansThatAddInAnyOrderRunOnlyWhereThatIsAllowed) {
  set_stand_in({.fused_plans = {{.milliseconds = 1, .in_order = false}, {.milliseconds = 3}, {.milliseconds = 2}}});
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(1, 2, 2));
  allow_nondeterminism(true);
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(0, 1, 2, 0)) << "chosen anew";
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(0));
  allow_nondeterminism(false);
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(2)) << "as before";
  cuda::forget_convs();
  set_stand_in({.plans = {{.in_order = false}}, .fused_plans = {}});
  EXPECT_THROW(expect_right(), BackendError) << "rather no plan than another result each time";
}

TEST_F(ConvChoice, FusedGraphsHaveBiasAddAndReluWhereCudnnKnowsThem) {
  const auto fused = [](DType type, Activation activation, bool add) {
    const TensorOptions options{.dtype = type};
    const Tensor x = gpu(ones({1, 2, 3, 3}, options)), w = gpu(ones({2, 2, 1, 1}, options));
    const Tensor b = gpu(ones({2}, options));
    conv2d(x, w, b, {.activation = activation, .add = add ? gpu(ones({1, 2, 3, 3}, options)) : Tensor()});
    return take_graphs().at(0);
  };
  const ConvGraph half = fused(DType::float16, Activation::relu, true);
  EXPECT_TRUE(half.bias && half.add && half.activation == Activation::relu);
  EXPECT_EQ(half.add.strides, half.y.strides);
  EXPECT_THAT(half.bias.dims, ElementsAre(1, 2, 1, 1));
  const ConvGraph single = fused(DType::float32, Activation::none, true);
  EXPECT_TRUE(single.bias && single.add);
  EXPECT_FALSE(fused(DType::float32, Activation::relu, false).bias) << "composed";
  EXPECT_FALSE(fused(DType::float64, Activation::none, false).bias) << "composed";
}

TEST_F(ConvChoice, AViewThatIsLessAlignedGetsAGraphOfItsOwn) {
  const Tensor all = gpu(ones({3, 1, 3, 3})), w = gpu(ones({1, 1, 3, 3}));
  conv2d(all.slice(0, 0, 1), w);
  conv2d(all.slice(0, 1, 2), w);  // 36 bytes further on
  const auto graphs = take_graphs();
  ASSERT_THAT(graphs, SizeIs(2));
  EXPECT_EQ(graphs[0].x.alignment, 16);
  EXPECT_EQ(graphs[1].x.alignment, 4);
}

}  // namespace dnn::simt::test
