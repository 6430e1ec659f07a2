// The program of tests/gpu that times cuDNN's plans, on the stand-in for cuDNN.
#include "tests/gpu/plan_times.h"

#include <gmock/gmock.h>

#include <sstream>

#include "tests/simt/conv_plans.h"
#include "tests/simt/norm_plans.h"

namespace dnn::simt {
namespace {

using ::testing::StrEq;

class PlanTimes : public ::testing::Test {
 protected:
  void SetUp() override { forget(); }
  void TearDown() override { forget(); }
  static void forget() {
    set_stand_in({}), take_runs(), take_graphs();
    set_norm_stand_in({}), take_norm_runs(), take_norm_graphs();
  }
};

TEST_F(PlanTimes, EachPlanThatRunsHasALine) {
  set_stand_in({.plans = {{.milliseconds = 0.5},
                          {.builds = false},
                          {.runs = false},
                          {.milliseconds = 0.25, .workspace = 64},
                          {.workspace = int64_t{2} << 30}}});
  std::ostringstream out;
  const int64_t last = 23 * 2 * 3 - 1;  // of the convolutions
  EXPECT_FALSE(gpu::write_plan_times({.first = last, .seconds = 0, .batch = 2}, out));
  EXPECT_THAT(
      out.str(),
      StrEq("{\"graph\": 137, \"convolution\": \"3x3/1 512->512 @7\", \"dtype\": \"fp16\", \"pass\": \"backward "
            "weight\", \"batch\": 2, \"plan\": \"loops0\", \"rank\": 0, \"us\": 500.00, \"workspace\": 0, \"flops\": "
            "462422016}\n"
            "{\"graph\": 137, \"convolution\": \"3x3/1 512->512 @7\", \"dtype\": \"fp16\", \"pass\": \"backward "
            "weight\", \"batch\": 2, \"plan\": \"loops3\", \"rank\": 3, \"us\": 250.00, \"workspace\": 64, \"flops\": "
            "462422016}\n"
            "{\"done\": 137}\n"));
  const auto graphs = take_graphs();
  ASSERT_EQ(graphs.size(), 1u);
  EXPECT_EQ(graphs[0].dtype, DType::float16);
  EXPECT_EQ(graphs[0].pass, cuda::ConvPass::backward_weight);
  EXPECT_EQ(graphs[0].y.dims, (std::array<int64_t, 4>{2, 512, 7, 7}));
}

TEST_F(PlanTimes, OurKernelsHaveALineBeforeThePlansOfANormalisation) {
  set_norm_stand_in({{.milliseconds = 0.5, .workspace = 64}, {.error = 1}, {.milliseconds = 0.25}});
  std::ostringstream out;
  const int64_t last = gpu::plan_times_graphs() - 1;
  EXPECT_EQ(last, 23 * 2 * 3 + 16 * 2 * 2 - 1);
  EXPECT_TRUE(gpu::write_plan_times({.first = last, .batch = 2}, out));
  const std::string line =
      "{\"graph\": 201, \"norm\": \"norm 2048 @7, add, relu\", \"dtype\": \"fp16\", \"pass\": \"backward\", \"batch\": "
      "2, "
      "\"plan\": ";
  EXPECT_THAT(out.str(), ::testing::StartsWith(line + "\"own\", \"rank\": 0, \"us\": "));
  EXPECT_THAT(out.str(),
              ::testing::EndsWith(", \"workspace\": 0}\n" + line +
                                  "\"loops0\", \"rank\": 1, \"us\": 500.00, \"workspace\": 64}\n" + line +
                                  "\"loops2\", \"rank\": 2, \"us\": 250.00, \"workspace\": 0}\n{\"done\": 201}\n"));
  set_norm_stand_in({});
  std::ostringstream nothing;
  EXPECT_TRUE(gpu::write_plan_times({.first = last, .batch = 2}, nothing));
  EXPECT_EQ(nothing.str(), "{\"done\": 201}\n");
}

TEST_F(PlanTimes, NoGraphIsBegunAfterItsTime) {
  std::ostringstream out;
  EXPECT_FALSE(gpu::write_plan_times({.first = 130, .seconds = 0, .batch = 1}, out));
  EXPECT_THAT(out.str(), ::testing::EndsWith("{\"done\": 130}\n"));
  EXPECT_EQ(take_graphs().size(), 1u);
}

}  // namespace
}  // namespace dnn::simt
