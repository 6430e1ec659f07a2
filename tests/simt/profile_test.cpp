// The profiler on a GPU: events in the stream are its clock, nothing waits before the results are asked for, and the
// tools of NVIDIA's see layers and operations.
#include "dnn/profile.h"

#include <gmock/gmock.h>

#include "cuda/check.h"
#include "cuda/context.h"
#include "dnn/ops.h"
#include "tests/harness/errors.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

using cuda::Context;
using ::testing::ElementsAre;
using ::testing::SizeIs;

TEST(GpuProfiler, TimesByEventsWithoutWaiting) {
  const Tensor x = rand({64, 32}, {.device = Device::cuda(), .requires_grad = true});
  exp(x).sum().backward();  // plans and caches
  synchronize(Device::cuda());
  take_ranges();
  const int64_t waits = counters().waits;
  Profiler profiler;
  {
    const auto running = profiler.start();
    const ProfileRange range("part");
    exp(x).sum().backward();
  }
  EXPECT_EQ(counters().waits, waits) << "a profiled step waits for nothing";
  const Ranges ranges = take_ranges();
  EXPECT_EQ(ranges.open, 0);
  EXPECT_THAT(ranges.names, ElementsAre("part", "exp", "reduce_sum", "backward", "fill", "sum", "exp", "copy", "exp"));

  const auto& operations = profiler.operations();
  EXPECT_GT(counters().waits, waits);
  ASSERT_THAT(operations, SizeIs(4 + 1));
  for (const ProfiledOperation& o : operations) {
    EXPECT_EQ(o.device, Device::cuda());
    EXPECT_GT(o.seconds, 0) << o.name;
  }
  for (size_t i = 1; i < operations.size(); ++i)
    EXPECT_GE(operations[i].start, operations[i - 1].start + operations[i - 1].seconds - 1e-5) << operations[i].name;
  const int64_t after = counters().waits;
  profiler.operation_table();
  EXPECT_EQ(counters().waits, after) << "once is enough";
}

TEST(GpuProfiler, CountsCopiesBetweenHostAndGpu) {
  const Tensor host = rand({3});
  Profiler profiler;
  {
    const auto running = profiler.start();
    host.to(Device::cuda()).to(Device::cpu());
  }
  ASSERT_THAT(profiler.operations(), SizeIs(2));
  EXPECT_EQ(profiler.operations()[0].name, "to_device");
  EXPECT_EQ(profiler.operations()[1].name, "to_host");
  EXPECT_EQ(profiler.operations()[1].bytes, 2 * 3 * 4);
}

TEST(GpuProfiler, ABadLabelIsReportedByTheResults) {
  const Tensor x = rand({2, 3}, {.device = Device::cuda()});
  const Tensor labels = from_values(std::vector<int64_t>{0, 7}, {2}).to(Device::cuda());
  Profiler profiler;
  {
    const auto running = profiler.start();
    cross_entropy(x, labels);
  }
  EXPECT_ERROR(profiler.operations(), IndexError, "cross_entropy: label 7 at position 1, expected 0 <= label < 3");
  EXPECT_THAT(profiler.operations(), SizeIs(1)) << "it is reported once";
}

TEST(GpuProfiler, ALostDeviceLeavesItWhole) {
  const Tensor x = rand({4}, {.device = Device::cuda()});
  Profiler profiler;
  {
    const auto running = profiler.start();
    relu(x);
    lose_device();
    EXPECT_THROW(relu(x), BackendError);
  }
  EXPECT_FALSE(profiler.running());
  EXPECT_THROW(profiler.operations(), BackendError);
  repair_device();
  cuda::forget_failure();
  EXPECT_EQ(take_ranges().open, 0);
}

TEST(GpuProfiler, EventsWithoutTimingHaveNoTime) {
  cudaStream_t stream = nullptr;
  cudaEvent_t timed = nullptr, untimed = nullptr;
  DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  DNN_CUDA_CHECK(cudaEventCreateWithFlags(&timed, 0));
  DNN_CUDA_CHECK(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming));
  DNN_CUDA_CHECK(cudaEventRecord(timed, stream));
  DNN_CUDA_CHECK(cudaEventRecord(untimed, stream));
  float milliseconds = 0;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, timed, timed), cudaErrorNotReady);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, timed, untimed), cudaErrorInvalidResourceHandle);
  DNN_CUDA_CHECK(cudaStreamSynchronize(stream));
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, timed, timed), cudaSuccess);
  cudaEventDestroy(timed);
  cudaEventDestroy(untimed);
  cudaStreamDestroy(stream);
}

}  // namespace dnn::simt::test
