// The check at the end of the run.
#include "tests/simt/coverage.h"

#include <gtest/gtest.h>

#include "tests/simt/kernel_names.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

namespace {

class Coverage : public ::testing::Environment {
 public:
  void TearDown() override {
    if (::testing::GTEST_FLAG(filter) != "*") return;
    const auto defined = defined_kernels(DNN_CUDA_SOURCES), exempt = exempt_kernels(DNN_EXEMPT_KERNELS);
    const auto executed = executed_kernels();
    EXPECT_GT(defined.size(), 10u) << "the kernels were not found in " DNN_CUDA_SOURCES;
    for (const std::string& name : defined) {
      if (exempt.contains(name))
        EXPECT_FALSE(executed.contains(name)) << name << " is exempt, but ran";
      else
        EXPECT_TRUE(executed.contains(name)) << name << " was never run by the emulator";
    }
    for (const std::string& name : exempt)
      EXPECT_TRUE(defined.contains(name)) << name << " is exempt, but is no kernel";
  }
};

}  // namespace

void check_coverage_at_end() { ::testing::AddGlobalTestEnvironment(new Coverage); }

}  // namespace dnn::simt::test
