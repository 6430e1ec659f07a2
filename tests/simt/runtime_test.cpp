// The emulated runtime: work waits in streams until somebody asks for it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

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

// Two streams, one that writes and one that reads, and an event between them or not. What the reader saw, for each
// order.
std::vector<int> seen_by_reader(bool waits, const std::vector<Streams>& orders) {
  std::vector<int> seen;
  for (const Streams order : orders) {
    set_streams(order);
    cudaStream_t writer = nullptr, reader = nullptr;
    cudaEvent_t written = nullptr;
    DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&writer, cudaStreamNonBlocking));
    DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&reader, cudaStreamNonBlocking));
    DNN_CUDA_CHECK(cudaEventCreateWithFlags(&written, cudaEventDisableTiming));
    const int one = 1;
    int shared = 0, result = 0;
    DNN_CUDA_CHECK(cudaMemcpyAsync(&shared, &one, sizeof(int), cudaMemcpyDeviceToDevice, writer));
    DNN_CUDA_CHECK(cudaEventRecord(written, writer));
    if (waits) DNN_CUDA_CHECK(cudaStreamWaitEvent(reader, written));
    DNN_CUDA_CHECK(cudaMemcpyAsync(&result, &shared, sizeof(int), cudaMemcpyDeviceToDevice, reader));
    DNN_CUDA_CHECK(cudaStreamSynchronize(reader));
    seen.push_back(result);
    cudaStreamDestroy(writer);
    cudaStreamDestroy(reader);
    cudaEventDestroy(written);
  }
  set_streams(Streams::lazy);
  return seen;
}

TEST(Runtime, AStreamThatShouldWaitForAnotherAndDoesNotGetsWrongData) {
  const std::vector<Streams> all{Streams::lazy, Streams::ahead, Streams::shuffled};
  EXPECT_EQ(seen_by_reader(true, all), (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(seen_by_reader(false, {Streams::lazy}), std::vector<int>{0});
}

// The other way round: a write that must come after the reads of another stream.
TEST(Runtime, AStreamThatRunsAheadOfAnotherOverwritesWhatThatStillNeeds) {
  for (const bool waits : {true, false}) {
    set_streams(Streams::ahead);
    cudaStream_t writer = nullptr, reader = nullptr;
    cudaEvent_t read = nullptr;
    DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&writer, cudaStreamNonBlocking));
    DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&reader, cudaStreamNonBlocking));
    DNN_CUDA_CHECK(cudaEventCreateWithFlags(&read, cudaEventDisableTiming));
    const int one = 1;
    int shared = 7, result = 0;
    DNN_CUDA_CHECK(cudaMemcpyAsync(&result, &shared, sizeof(int), cudaMemcpyDeviceToDevice, reader));
    DNN_CUDA_CHECK(cudaEventRecord(read, reader));
    if (waits) DNN_CUDA_CHECK(cudaStreamWaitEvent(writer, read));
    DNN_CUDA_CHECK(cudaMemcpyAsync(&shared, &one, sizeof(int), cudaMemcpyDeviceToDevice, writer));
    DNN_CUDA_CHECK(cudaStreamSynchronize(reader));
    EXPECT_EQ(result, waits ? 7 : 1);
    cudaStreamDestroy(writer);
    cudaStreamDestroy(reader);
    cudaEventDestroy(read);
    set_streams(Streams::lazy);
  }
}

TEST(Runtime, TheTraceTellsWhatStreamsRan) {
  cudaStream_t stream = nullptr;
  DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  int a = 0, b = 0;
  start_trace();
  DNN_CUDA_CHECK(cudaMemsetAsync(&a, 1, sizeof(int), stream));
  DNN_CUDA_CHECK(cudaMemcpyAsync(&b, &a, sizeof(int), cudaMemcpyHostToDevice, stream));
  DNN_CUDA_CHECK(cudaMemcpyAsync(&b, &a, sizeof(int), cudaMemcpyDeviceToHost, stream));
  DNN_CUDA_CHECK(cudaStreamSynchronize(stream));
  EXPECT_EQ(take_trace(), (std::vector<std::string>{"fill", "upload", "download"}));
  cudaStreamDestroy(stream);
}

TEST(Runtime, AnEventBelongsToTheDeviceItWasMadeOn) {
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  DNN_CUDA_CHECK(cudaSetDevice(1));
  DNN_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  EXPECT_EQ(cudaEventRecord(event, stream), cudaErrorInvalidValue);
  DNN_CUDA_CHECK(cudaSetDevice(0));
  cudaEventDestroy(event);
  cudaStreamDestroy(stream);
}

TEST(Runtime, ALostDeviceFailsEveryCallUntilItIsRepaired) {
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  DNN_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  int a = 0;
  const int one = 1;
  DNN_CUDA_CHECK(cudaMemcpyAsync(&a, &one, sizeof(int), cudaMemcpyHostToDevice, stream));
  void* data = nullptr;
  lose_device();
  EXPECT_EQ(cudaMalloc(&data, 10), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaMallocHost(&data, 10), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaMemsetAsync(&a, 0, 1, stream), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaEventRecord(event, stream), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaEventQuery(event), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress) << "it sticks";
  EXPECT_EQ(a, 0) << "work that was given is dropped";
  repair_device();
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  cudaStreamDestroy(stream);
  cudaEventDestroy(event);
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
