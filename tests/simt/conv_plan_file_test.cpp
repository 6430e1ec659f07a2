// Which plan of a convolution a later process runs: the one that was found before, untimed, where that still serves.
#include <filesystem>
#include <iterator>
#include <vector>

#include "core/plan_file.h"
#include "dnn/cache.h"
#include "dnn/precision.h"
#include "tests/core/failing_file_system.h"
#include "tests/harness/variable.h"
#include "tests/simt/conv_choice.h"

namespace dnn::simt::test {

using dnn::test::TemporaryFolder;
using dnn::test::Variable;
using ::testing::ElementsAre;

class ConvChoiceOnDisk : public ConvChoice {
 protected:
  void SetUp() override { ConvChoice::SetUp(), detail::forget_plan_files(); }
  void TearDown() override { ConvChoice::TearDown(), detail::forget_plan_files(); }

  // As in a new process.
  static void forget() {
    save_plans();
    detail::forget_plan_files();
    cuda::forget_convs();
    take_runs(), take_graphs();
  }
  // The plans that run when a convolution is new to the process.
  std::vector<int64_t> runs_of_new_process(Activation activation = Activation::none, DType type = DType::float32) {
    forget();
    expect_right(activation, type);
    return take_runs();
  }

  const TemporaryFolder folder_;
  const Variable cache_{"DNN_CACHE_DIR", folder_.path().string()}, on_{"DNN_PLAN_CACHE", std::nullopt};
};

TEST_F(ConvChoiceOnDisk, TheFastestPlanRunsAtOnceAndNothingWaits) {
  const StandIn three{.fused_plans = {{.milliseconds = 3}, {.milliseconds = 1}, {.milliseconds = 2}}};
  set_stand_in(three);
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(0, 1, 2, 1)) << "timed, then run";
  EXPECT_THAT(runs_of_new_process(), ElementsAre(1));
  forget();
  const Tensor x = gpu(randn({2, 5, 6, 6})), w = gpu(randn({4, 5, 3, 3})), b = gpu(randn({4}));
  const int64_t waits = cuda::Context::of(0).counters().waits;
  conv2d(x, w, b);
  EXPECT_EQ(cuda::Context::of(0).counters().waits, waits);
}

TEST_F(ConvChoiceOnDisk, AReluThatWasTriedIsNotTriedAgain) {
  set_stand_in({.fused_plans = {{.milliseconds = 1, .keeps_nan = false}, {.milliseconds = 2}}});
  expect_right(Activation::relu, DType::bfloat16);
  EXPECT_THAT(runs_of_new_process(Activation::relu, DType::bfloat16), ElementsAre(1));
  forget();
  clear_plans();
  set_stand_in({.fused_plans = {{.keeps_nan = false}}});
  expect_right(Activation::relu, DType::bfloat16);
  EXPECT_THAT(take_runs(), ElementsAre(0, 0)) << "fed with NaN, and composed";
  EXPECT_THAT(runs_of_new_process(Activation::relu, DType::bfloat16), ElementsAre(0)) << "composed";
}

TEST_F(ConvChoiceOnDisk, ThePlanIsFoundByItsNameWhereverItIsOffered) {
  set_stand_in({.fused_plans = {{.milliseconds = 2, .name = "a"}, {.milliseconds = 1, .name = "b"}}});
  expect_right();
  forget();
  set_stand_in({.fused_plans = {{.name = "c"}, {.name = "d"}, {.name = "b"}}});
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(2));
}

TEST_F(ConvChoiceOnDisk, APlanThatIsNotOfferedOrCannotBeBuiltIsChosenAnew) {
  set_stand_in({.fused_plans = {{.milliseconds = 2, .name = "a"}, {.milliseconds = 1, .name = "b"}}});
  expect_right();
  forget();
  set_stand_in({.fused_plans = {{.milliseconds = 2, .name = "a"},
                                {.milliseconds = 1, .builds = false, .name = "b"},
                                {.milliseconds = 1, .name = "c"}}});
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(0, 2, 2));
  EXPECT_THAT(runs_of_new_process(), ElementsAre(2)) << "which is kept";
  forget();
  set_stand_in({.fused_plans = {{.milliseconds = 1, .name = "x"}, {.milliseconds = 2, .name = "y"}}});
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(0, 1, 0));
}

TEST_F(ConvChoiceOnDisk, APlanThatFailsWhenItRunsIsChosenAnew) {
  set_stand_in({.fused_plans = {{.milliseconds = 2}, {.milliseconds = 1}, {.milliseconds = 3}}});
  expect_right();
  forget();
  set_stand_in({.fused_plans = {{.milliseconds = 2}, {.milliseconds = 1, .runs = false}, {.milliseconds = 3}}});
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(1, 0, 1, 2, 0)) << "failed, all timed, run";
  EXPECT_THAT(runs_of_new_process(), ElementsAre(0));
}

TEST_F(ConvChoiceOnDisk, WhereMemoryIsShortAPlanThatNeedsLessRunsAndIsNotKept) {
  const StandIn large{.fused_plans = {{.milliseconds = 1, .workspace = 1 << 20}, {.milliseconds = 2}}};
  set_stand_in(large);
  expect_right();
  EXPECT_THAT(runs_of_new_process(), ElementsAre(0));
  forget();
  const Tensor x = gpu(randn({2, 5, 6, 6})), w = gpu(randn({4, 5, 3, 3})), b = gpu(randn({4}));
  conv2d(x, w, b);
  take_runs();
  synchronize(Device::cuda());
  release_cached_memory(Device::cuda());
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  Machine small;
  small.memory = static_cast<int64_t>(total - free) + (1 << 19);
  set_machine(small);
  {
    const Tensor y = conv2d(x, w, b);
    EXPECT_THAT(take_runs(), ElementsAre(1)) << "the plan known does not fit";
  }
  forget();
  conv2d(x, w, b);
  EXPECT_THAT(take_runs(), ElementsAre(1)) << "nor may its workspace be so large";
  set_machine({});
  EXPECT_THAT(runs_of_new_process(), ElementsAre(0));
}

TEST_F(ConvChoiceOnDisk, HowManyAreTriedCounts) {
  set_stand_in({.fused_plans = {{.milliseconds = 3}, {.milliseconds = 2}, {.milliseconds = 1}}});
  setenv("DNN_CONV_PLANS", "2", 1);
  expect_right();
  EXPECT_THAT(runs_of_new_process(), ElementsAre(1));
  setenv("DNN_CONV_PLANS", "1", 1);
  EXPECT_THAT(runs_of_new_process(), ElementsAre(0)) << "the library's first, and not kept";
  setenv("DNN_CONV_PLANS", "3", 1);
  EXPECT_THAT(runs_of_new_process(), ElementsAre(0, 1, 2, 2)) << "more than before";
  setenv("DNN_CONV_PLANS", "2", 1);
  EXPECT_THAT(runs_of_new_process(), ElementsAre(2)) << "fewer than before";
}

TEST_F(ConvChoiceOnDisk, AnotherLibraryGpuOrProblemChoosesItsOwn) {
  StandIn offer{.fused_plans = {{.milliseconds = 2}, {.milliseconds = 1}}};
  set_stand_in(offer);
  expect_right();
  forget();
  offer.library = "loops 2";
  set_stand_in(offer);
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(0, 1, 1));
  forget();
  offer.library = "loops 1";
  set_stand_in(offer);
  expect_right();
  EXPECT_THAT(take_runs(), ElementsAre(1));
  expect_right(Activation::none, DType::bfloat16);
  EXPECT_THAT(take_runs(), ElementsAre(0, 1, 1));
  forget();
  allow_nondeterminism(true);
  expect_right();
  allow_nondeterminism(false);
  EXPECT_THAT(take_runs(), ElementsAre(0, 1, 1));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(plan_folder()), {}), 4) << "two files and their locks";
}

TEST_F(ConvChoiceOnDisk, ByTheVariableNothingIsKept) {
  const Variable off("DNN_PLAN_CACHE", "0");
  set_stand_in({.fused_plans = {{.milliseconds = 2}, {.milliseconds = 1}}});
  expect_right();
  EXPECT_THAT(runs_of_new_process(), ElementsAre(0, 1, 1));
}

}  // namespace dnn::simt::test
