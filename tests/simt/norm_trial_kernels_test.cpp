// The kernels around cuDNN's batch normalisation.
#include <gmock/gmock.h>

#include "cuda/context.h"
#include "cuda/norm_trial.h"
#include "tests/simt/kernel_check.h"

namespace dnn::simt::test {
namespace {

TEST(NormTrialKernels, ABatchIsCounted) {
  const Tensor batches = gpu(full({}, 41, {.dtype = DType::int64}));
  cuda::count_batch(batches);
  EXPECT_EQ(batches.item(), 42);
}

TEST(NormTrialKernels, NearnessIsRelativeToNumbersAndScale) {
  const auto near = [](std::vector<float> a, std::vector<float> b, float tolerance, float scale, DType type,
                       std::vector<float> before = {}) {
    // The last of many elements.
    const auto tensor = [&](const std::vector<float>& values) {
      Tensor t = ones({1000 + std::ssize(values)});
      std::copy(values.begin(), values.end(), t.data<float>() + 1000);
      return gpu(t.to(type));
    };
    return cuda::are_near(tensor(a), tensor(b), {tolerance, scale, before.empty() ? Tensor() : tensor(before)});
  };
  for (const DType type : {DType::float32, DType::float16, DType::bfloat16}) {
    EXPECT_TRUE(near({1, -2}, {1, -2}, 0, 0, type));
    EXPECT_TRUE(near({8}, {9}, 0.125f, 0, type));
    EXPECT_FALSE(near({8}, {9}, 0.1f, 0, type));
    EXPECT_TRUE(near({-8}, {-9}, 0.1f, 1, type));
    EXPECT_FALSE(near({0.5f}, {-0.5f}, 0.1f, 1, type));
    EXPECT_TRUE(near({NAN, INFINITY}, {NAN, INFINITY}, 0, 0, type));
    EXPECT_FALSE(near({NAN}, {0}, 1, 1, type));
    EXPECT_FALSE(near({0}, {NAN}, 1, 1, type));
    EXPECT_FALSE(near({INFINITY}, {-INFINITY}, 0.5f, 1, type));
    EXPECT_TRUE(near({0}, {5}, 0.1f, 1, type, {0.0625f}));
    EXPECT_TRUE(near({0}, {5}, 0.1f, 1, type, {-0.0625f}));
    EXPECT_FALSE(near({0}, {5}, 0.1f, 1, type, {0.125f}));
  }
}

}  // namespace
}  // namespace dnn::simt::test
