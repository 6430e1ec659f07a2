// The survey of GPUs: every reason why there is none, in words.
#include "cuda/device.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "dnn/system.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

class DeviceSurvey : public ::testing::Test {
 protected:
  void SetUp() override { unsetenv("CUDA_VISIBLE_DEVICES"); }
  void TearDown() override { set_machine({}); }
  static SystemReport report(const Machine& machine) {
    set_machine(machine);
    SystemReport result;
    cuda::describe(cuda::survey(), result);
    EXPECT_EQ(result.architectures, "80 90");
    EXPECT_EQ(result.runtime.version, "13.0");
    return result;
  }
  static std::string why(const Machine& machine) {
    set_machine(machine);
    const cuda::Survey survey = cuda::survey();
    EXPECT_TRUE(survey.usable.empty());
    return survey.why;
  }
};

TEST_F(DeviceSurvey, NoDriver) {
  EXPECT_EQ(why({.driver = 0}), "no NVIDIA driver is installed (this libdnn uses CUDA 13.0)");
}

TEST_F(DeviceSurvey, OldDriver) {
  EXPECT_EQ(why({.driver = 12020}), "the NVIDIA driver is too old: it supports CUDA 12.2, this libdnn uses CUDA 13.0");
}

TEST_F(DeviceSurvey, NoDevice) {
  EXPECT_EQ(why({.devices = 0}), "the NVIDIA driver sees no GPU (CUDA_VISIBLE_DEVICES is not set)");
  setenv("CUDA_VISIBLE_DEVICES", "", 1);
  EXPECT_EQ(why({.devices = 0}), "the NVIDIA driver sees no GPU (CUDA_VISIBLE_DEVICES is \"\")");
}

TEST_F(DeviceSurvey, WrongArchitecture) {
  EXPECT_EQ(why({.devices = 2, .major = 7, .minor = 5}),
            "this libdnn was not built for the GPU: Emulated GPU has compute capability 7.5, Emulated GPU has compute "
            "capability 7.5, built for 80 90");
}

TEST_F(DeviceSurvey, UsableDevices) {
  set_machine({.devices = 2, .major = 9, .minor = 0});
  const cuda::Survey survey = cuda::survey();
  EXPECT_EQ(survey.why, "");
  ASSERT_EQ(survey.usable.size(), 2u);
  EXPECT_EQ(survey.usable[1].ordinal, 1);
  EXPECT_EQ(survey.usable[1].name, "Emulated GPU");
  EXPECT_EQ(survey.usable[1].major, 9);
}

TEST_F(DeviceSurvey, TheReportWithoutADriver) {
  const SystemReport found = report({.driver = 0});
  EXPECT_EQ(found.driver.version, "");
  EXPECT_EQ(found.driver.why_missing, "no NVIDIA driver is installed");
  EXPECT_TRUE(found.gpus.empty());
  EXPECT_EQ(found.why_no_gpu, "no NVIDIA driver is installed (this libdnn uses CUDA 13.0)");
}

TEST_F(DeviceSurvey, TheReportOnAnOldDriver) {
  const SystemReport found = report({.driver = 12020});
  EXPECT_EQ(found.driver.version, "12.2");
  EXPECT_EQ(found.driver.why_missing, "");
  EXPECT_EQ(found.why_no_gpu, "the NVIDIA driver is too old: it supports CUDA 12.2, this libdnn uses CUDA 13.0");
}

TEST_F(DeviceSurvey, TheReportOnGpus) {
  const SystemReport found = report({.devices = 2, .driver = 13010, .major = 9, .minor = 0, .memory = 1 << 30});
  EXPECT_EQ(found.driver.version, "13.1");
  EXPECT_EQ(found.why_no_gpu, "");
  ASSERT_EQ(found.gpus.size(), 2u);
  EXPECT_EQ(found.gpus[1].name, "Emulated GPU");
  EXPECT_EQ(found.gpus[1].major, 9);
  EXPECT_EQ(found.gpus[1].memory, 1 << 30);
  EXPECT_EQ(found.gpus[1].index, 1);
  EXPECT_EQ(found.gpus[1].why_unusable, "");
}

TEST_F(DeviceSurvey, TheReportOnAGpuThatWasNotBuiltFor) {
  const SystemReport found = report({.devices = 1, .major = 7, .minor = 5});
  ASSERT_EQ(found.gpus.size(), 1u);
  EXPECT_EQ(found.gpus[0].index, -1);
  EXPECT_EQ(found.gpus[0].why_unusable, "this libdnn was built for 80 90");
  EXPECT_NE(found.why_no_gpu, "");
}

TEST_F(DeviceSurvey, TheReportOfThisProcess) {
  const SystemReport found = system_report();
  EXPECT_EQ(found.gpus.size(), 2u);
  EXPECT_EQ(found.best, Device::cuda());
  EXPECT_EQ(found.why_best, "it is the first usable GPU");
}

TEST(Architectures, MachineCodeRunsWithinItsMajorVersion) {
  EXPECT_TRUE(cuda::runs_on("80-real", 8, 0));
  EXPECT_TRUE(cuda::runs_on("80-real", 8, 9));
  EXPECT_FALSE(cuda::runs_on("86-real", 8, 0));
  EXPECT_FALSE(cuda::runs_on("80-real", 9, 0));
  EXPECT_TRUE(cuda::runs_on("75-real;80-real 90", 7, 5));
}

TEST(Architectures, PtxRunsOnEverythingNewer) {
  EXPECT_TRUE(cuda::runs_on("80-virtual", 12, 0));
  EXPECT_TRUE(cuda::runs_on("90", 10, 0));
  EXPECT_FALSE(cuda::runs_on("90", 8, 9));
  EXPECT_FALSE(cuda::runs_on("90-virtual", 8, 9));
}

TEST(Architectures, SpecificCodeRunsOnItsOwnAlone) {
  EXPECT_TRUE(cuda::runs_on("90a", 9, 0));
  EXPECT_FALSE(cuda::runs_on("90a", 10, 0));
  EXPECT_FALSE(cuda::runs_on("90a-real", 9, 1));
}

TEST(Architectures, Names) {
  EXPECT_TRUE(cuda::runs_on("native", 7, 0));
  EXPECT_TRUE(cuda::runs_on("all-major", 7, 0));
  EXPECT_FALSE(cuda::runs_on("", 9, 0));
  EXPECT_FALSE(cuda::runs_on("nonsense", 9, 0));
}

}  // namespace dnn::simt::test
