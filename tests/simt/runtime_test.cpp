// The emulated runtime: work waits in streams until somebody asks for it.
#include <gtest/gtest.h>

#include "cuda/check.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

TEST(Runtime, AStreamDoesNothingUntilSomebodyWaits) {
  cudaStream_t stream = nullptr;
  DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  int from = 1, to = 0;
  DNN_CUDA_CHECK(cudaMemcpyAsync(&to, &from, sizeof(int), cudaMemcpyHostToDevice, stream));
  from = 2;  // too early: the copy has not run
  EXPECT_EQ(to, 0);
  DNN_CUDA_CHECK(cudaStreamSynchronize(stream));
  EXPECT_EQ(to, 2);
  cudaStreamDestroy(stream);
}

TEST(Runtime, EventsMarkAPlaceInAStream) {
  cudaStream_t stream = nullptr, other = nullptr;
  cudaEvent_t event = nullptr;
  DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
  DNN_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  int one = 1, a = 0, b = 0, c = 0;
  DNN_CUDA_CHECK(cudaMemcpyAsync(&a, &one, sizeof(int), cudaMemcpyHostToDevice, stream));
  DNN_CUDA_CHECK(cudaEventRecord(event, stream));
  DNN_CUDA_CHECK(cudaMemcpyAsync(&b, &one, sizeof(int), cudaMemcpyHostToDevice, stream));
  DNN_CUDA_CHECK(cudaStreamWaitEvent(other, event));
  DNN_CUDA_CHECK(cudaMemcpyAsync(&c, &a, sizeof(int), cudaMemcpyDeviceToDevice, other));

  set_machine({.slow = true});
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  set_machine({});
  DNN_CUDA_CHECK(cudaStreamSynchronize(other));  // runs the first stream up to the event, no further
  EXPECT_EQ(c, 1);
  EXPECT_EQ(b, 0);
  EXPECT_EQ(cudaEventQuery(event), cudaSuccess);
  DNN_CUDA_CHECK(cudaStreamSynchronize(stream));
  EXPECT_EQ(b, 1);
  cudaEventDestroy(event);
  cudaStreamDestroy(stream);
  cudaStreamDestroy(other);
}

TEST(Runtime, HostAccessRunsEverythingAtOnce) {
  cudaStream_t stream = nullptr;
  DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  int one = 1, a = 0, b = 0, c = 0;
  DNN_CUDA_CHECK(cudaMemcpyAsync(&a, &one, sizeof(int), cudaMemcpyHostToDevice, stream));
  {
    const HostAccess access;
    EXPECT_EQ(a, 1);
    DNN_CUDA_CHECK(cudaMemcpyAsync(&b, &one, sizeof(int), cudaMemcpyHostToDevice, stream));
    EXPECT_EQ(b, 1);
  }
  DNN_CUDA_CHECK(cudaMemcpyAsync(&c, &one, sizeof(int), cudaMemcpyHostToDevice, stream));
  EXPECT_EQ(c, 0);
  cudaStreamDestroy(stream);
}

TEST(Runtime, MemoryIsLimitedAndCounted) {
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  set_machine({.memory = static_cast<int64_t>(total - free) + (1 << 20)});
  const Counters before = counters();
  void* data = nullptr;
  EXPECT_EQ(cudaMalloc(&data, 2 << 20), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMalloc(&data, 1000), cudaSuccess);
  EXPECT_EQ(counters().allocations, before.allocations + 1);
  EXPECT_EQ(counters().live_blocks, before.live_blocks + 1);
  EXPECT_EQ(cudaFreeHost(data), cudaErrorInvalidValue) << "no pinned memory";
  EXPECT_EQ(cudaFree(data), cudaSuccess);
  EXPECT_EQ(cudaFree(data), cudaErrorInvalidValue) << "freed twice";
  EXPECT_EQ(counters().live_blocks, before.live_blocks);
  set_machine({});
}

TEST(Runtime, WaitsAreCounted) {
  cudaStream_t stream = nullptr;
  DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  const int64_t before = counters().waits;
  DNN_CUDA_CHECK(cudaStreamSynchronize(stream));
  EXPECT_EQ(counters().waits, before + 1);
  cudaStreamDestroy(stream);
}

}  // namespace dnn::simt::test
