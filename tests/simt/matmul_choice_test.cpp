// Which of several plans computes a product, and what a later process finds of that.
#include "cuda/matmul_choice.h"

#include <gmock/gmock.h>

#include <set>
#include <string>
#include <vector>

#include "core/plan_file.h"
#include "cuda/context.h"
#include "dnn/cache.h"
#include "tests/core/failing_file_system.h"
#include "tests/harness/errors.h"
#include "tests/harness/variable.h"
#include "tests/simt/matmul.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

using cuda::make_matmul_plan;
using cuda::MatmulProblem;
using dnn::test::TemporaryFolder;
using dnn::test::Variable;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class MatmulChoice : public ::testing::Test {
 protected:
  void SetUp() override { detail::forget_plan_files(), take_product_runs(), take_products(); }
  void TearDown() override {
    set_products({}), set_machine({}), take_product_runs(), take_products();
    detail::forget_plan_files();
  }

  // Aligned as all memory of the emulator is.
  static MatmulProblem product() {
    auto problem = cuda::gemm_problem(DType::float32, 3, 5, 4, false, true, false, false);
    problem.alignments = {.a = 16, .b = 16, .d = 16};
    return problem;
  }
  static MatmulProblem relu() {
    auto problem = *cuda::linear_problem(DType::float32, 3, 5, 4, {true, false, Activation::relu}, true, true, false);
    problem.alignments = {.a = 16, .b = 16, .d = 16, .bias = 16};
    return problem;
  }
  // The plans that run while one is made; `made`: whether there is one.
  static std::vector<int64_t> runs_to_make(const MatmulProblem& problem, bool made = true) {
    EXPECT_EQ(make_matmul_plan(Device::cuda(), problem) != nullptr, made);
    return take_product_runs();
  }
  // The number of the plan that was chosen.
  static int64_t chosen(const MatmulProblem& problem) {
    const auto plan = make_matmul_plan(Device::cuda(), problem);
    take_product_runs();
    if (plan == nullptr) return -1;
    const cuda::Scratch memory(cuda::Context::of(0), 4096);
    char* const bytes = memory.as<char>();
    plan->run(cuda::Context::of(0), {.a = bytes,
                                     .b = bytes + 1024,
                                     .d = bytes + 2048,
                                     .bias = has_bias(problem.epilogue) ? bytes + 3072 : nullptr});
    return take_product_runs().at(0);
  }
  static void forget() {
    save_plans();
    detail::forget_plan_files();
  }

  const TemporaryFolder folder_;
  const Variable cache_{"DNN_CACHE_DIR", folder_.path().string()}, on_{"DNN_PLAN_CACHE", std::nullopt};
};

TEST_F(MatmulChoice, ASinglePlanIsTakenUntried) { EXPECT_THAT(runs_to_make(product()), IsEmpty()); }

TEST_F(MatmulChoice, TheFastestIsTakenAndKnownLater) {
  set_products({.plans = {{.milliseconds = 3}, {.milliseconds = 1}, {.milliseconds = 2}}});
  EXPECT_THAT(runs_to_make(product()), ElementsAre(0, 1, 2));
  forget();
  const int64_t waits = cuda::Context::of(0).counters().waits;
  EXPECT_THAT(runs_to_make(product()), IsEmpty());
  EXPECT_EQ(cuda::Context::of(0).counters().waits, waits);
  EXPECT_EQ(chosen(product()), 1);
  MatmulProblem less_aligned = product();
  less_aligned.alignments.a = 4;
  EXPECT_THAT(runs_to_make(less_aligned), ElementsAre(0, 1, 2)) << "another problem";
}

TEST_F(MatmulChoice, PlansThatFailOrLoseNanAreLeftOut) {
  set_products({.plans = {{.milliseconds = 1, .runs = false},
                          {.milliseconds = 2, .keeps_nan = false},
                          {.milliseconds = 4},
                          {.milliseconds = 3}},
                .to_be_tried = true});
  EXPECT_EQ(chosen(relu()), 3);
  forget();
  EXPECT_THAT(runs_to_make(relu()), IsEmpty());
  EXPECT_EQ(chosen(relu()), 3);
  EXPECT_EQ(chosen(product()), 1) << "without an activation no NaN is asked about";
}

TEST_F(MatmulChoice, OneThatMustBeTriedIsTriedAlone) {
  set_products({.to_be_tried = true});
  EXPECT_THAT(runs_to_make(relu()), ElementsAre(0));
  forget();
  EXPECT_THAT(runs_to_make(relu()), IsEmpty());
}

TEST_F(MatmulChoice, ThatNoneWillDoIsKnownLater) {
  set_products({.plans = {{.keeps_nan = false}, {.runs = false}}, .to_be_tried = true});
  EXPECT_THAT(runs_to_make(relu(), false), ElementsAre(0, 0, 1));
  forget();
  EXPECT_THAT(runs_to_make(relu(), false), IsEmpty());
  clear_plans();
  EXPECT_THAT(runs_to_make(relu(), false), ElementsAre(0, 0, 1));
}

TEST_F(MatmulChoice, APlanThatIsNoLongerProposedIsChosenAnew) {
  set_products({.plans = {{.milliseconds = 2}, {.milliseconds = 3}, {.milliseconds = 1}}});
  EXPECT_EQ(chosen(product()), 2);
  forget();
  set_products({.plans = {{.milliseconds = 2}, {.milliseconds = 1}}});
  EXPECT_THAT(runs_to_make(product()), ElementsAre(0, 1));
  EXPECT_EQ(chosen(product()), 1);
}

TEST_F(MatmulChoice, ANameThatTwoPlansHaveIsNotBelieved) {
  set_products({.plans = {{.milliseconds = 2, .name = "twin"}, {.milliseconds = 1, .name = "twin"}}});
  EXPECT_EQ(chosen(product()), 1);
  forget();
  EXPECT_THAT(runs_to_make(product()), ElementsAre(0, 1));
}

TEST_F(MatmulChoice, TheEnvironmentBoundsHowManyAreTimed) {
  set_products({.plans = {{.milliseconds = 3}, {.milliseconds = 2}, {.milliseconds = 1}}});
  {
    const Variable one("DNN_MATMUL_CANDIDATES", "1");
    EXPECT_THAT(runs_to_make(product()), IsEmpty());
    EXPECT_EQ(chosen(product()), 0);
  }
  {
    const Variable two("DNN_MATMUL_CANDIDATES", "2");
    EXPECT_EQ(chosen(product()), 1);
  }
  EXPECT_THAT(runs_to_make(product()), ElementsAre(0, 1, 2)) << "more than before";
  const Variable many("DNN_MATMUL_CANDIDATES", "many");
  EXPECT_ERROR(make_matmul_plan(Device::cuda(), product()), ArgumentError,
               "matmul: DNN_MATMUL_CANDIDATES is \"many\", expected a number of plans from 1 on");
}

TEST_F(MatmulChoice, WithoutRoomForATrialTheFirstIsTakenButNoEpilogueUntried) {
  set_products({.plans = {{.milliseconds = 2}, {.milliseconds = 1}}, .to_be_tried = true});
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  Machine full;
  full.memory = static_cast<int64_t>(total - free) + 1;
  set_machine(full);
  EXPECT_THAT(runs_to_make(relu(), false), IsEmpty());
  set_products({.plans = {{.milliseconds = 2}, {.milliseconds = 1}}});
  EXPECT_THAT(runs_to_make(product()), IsEmpty());
  set_machine({});
  EXPECT_EQ(chosen(product()), 1) << "which was not kept";
}

TEST_F(MatmulChoice, ATextTellsAllProblemsApart) {
  std::vector<MatmulProblem> problems(9, product());
  problems[1].compute = cuda::MatmulCompute::tf32;
  problems[2].addend = cuda::MatmulAddend::output;
  problems[3].addend = cuda::MatmulAddend::other;
  problems[4].alignments.d = 8;
  problems[5].transpose_a = !problems[5].transpose_a;
  problems[6].a.leading = 64;
  problems[7].type = DType::float16;
  problems[8] = relu();
  std::set<std::string> texts;
  for (const MatmulProblem& problem : problems) texts.insert(text_of(problem));
  EXPECT_EQ(texts.size(), problems.size());
  EXPECT_THAT(text_of(problems[8]), ::testing::HasSubstr("computed in float32, nothing added, aux 0, aligned to 16"));
}

}  // namespace dnn::simt::test
