// What choosing among the plans of a library takes.
#include "cuda/trial.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>

#include "core/storage.h"
#include "dnn/ops/factory.h"
#include "tests/harness/errors.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

TEST(Trial, TellsNanFromAllOtherNumbers) {
  cuda::Context& context = cuda::Context::of(0);
  for (const DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
    for (const double value : {0.0, 1.0, -2.5, HUGE_VAL, -HUGE_VAL}) {
      const Tensor x = full({3}, value, {.dtype = type, .device = Device::cuda()});
      EXPECT_FALSE(cuda::is_nan(context, type, detail::raw(x))) << name_of(type) << " " << value;
      cuda::set_nan(context, type, detail::raw(x));
      EXPECT_TRUE(cuda::is_nan(context, type, detail::raw(x))) << name_of(type);
      const auto values = x.to(Device::cpu()).to(DType::float64).to_vector<double>();
      EXPECT_TRUE(std::isnan(values[0]));
      EXPECT_EQ(values[1], value) << "the others stay";
    }
    const Tensor quiet = full({1}, std::nan(""), {.dtype = type, .device = Device::cuda()});
    EXPECT_TRUE(cuda::is_nan(context, type, detail::raw(quiet))) << name_of(type);
  }
}

TEST(Trial, OperandsAreRandomAndDiffer) {
  cuda::TrialOperands operands(Device::cuda(), DType::float32);
  float first[2], second[2];
  cuda::Context::of(0).to_host(first, operands.add(2), sizeof first);
  cuda::Context::of(0).to_host(second, operands.add(2), sizeof second);
  EXPECT_NE(first[0], first[1]);
  EXPECT_NE(first[0], second[0]);
}

TEST(Trial, TheClockFloodsTheCacheBeforeEachOfFiveRuns) {
  cuda::Context& context = cuda::Context::of(0);
  const int64_t waits = context.counters().waits;
  cuda::TrialClock clock(context);
  EXPECT_EQ(context.counters().waits, waits + 1);
  const Tensor x = full({4}, 1, {.device = Device::cuda()}), y = full({4}, 2, {.device = Device::cuda()});
  synchronize(Device::cuda());
  start_trace();
  const double time = clock.time([&] { context.copy(detail::raw(x), detail::raw(y), 16); });
  EXPECT_THAT(take_trace(), ::testing::ElementsAre("copy", "fill", "copy", "fill", "copy", "fill", "copy", "fill",
                                                   "copy", "fill", "copy"));
  EXPECT_GE(time, 0);
  EXPECT_LT(time, 1e3);
  EXPECT_EQ(x.to_vector<float>(), std::vector<float>(4, 2));
}

TEST(Trial, WhatItHoldsForNamesLibraryGpuAndVersions) {
  EXPECT_EQ(cuda::trial_origin("cudnn 9.19.0", cuda::Context::of(0), Device::cuda()),
            "cudnn 9.19.0, Emulated GPU, compute capability 9.0, 2 multiprocessors, driver 13000, runtime 13000");
}

TEST(Trial, TheNumberOfPlansMayBeSet) {
  constexpr const char* variable = "DNN_TRIAL_TEST";
  unsetenv(variable);
  EXPECT_EQ(cuda::plans_to_try("matmul", variable, 16), 16);
  setenv(variable, "3", 1);
  EXPECT_EQ(cuda::plans_to_try("matmul", variable, 16), 3);
  for (const std::string text : {"", "0", "-1", "many", "3x", "99999999999999999999"}) {
    setenv(variable, text.c_str(), 1);
    EXPECT_ERROR(cuda::plans_to_try("matmul", variable, 16), ArgumentError,
                 "matmul: DNN_TRIAL_TEST is \"" + text + "\", expected a number of plans from 1 on");
  }
  unsetenv(variable);
}

}  // namespace dnn::simt::test
