// What captured steps stand on: streams that are captured, the memory of graphs, numbers that vary from launch to
// launch.
#include "cuda/graph.h"

#include <gmock/gmock.h>

#include <cstring>
#include <vector>

#include "core/kernels/runtime.h"
#include "cuda/check.h"
#include "cuda/launch.cuh"
#include "dnn/ops.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {
namespace {

using cuda::Context;
using ::testing::ElementsAre;

// ---- the emulated runtime -------------------------------------------------------------------------------------------

class CapturedStream : public ::testing::Test {
 protected:
  CapturedStream() {
    DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    DNN_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  }
  ~CapturedStream() override { cudaStreamDestroy(stream); }
  cudaError_t end() {
    cudaGraph_t graph = nullptr;
    const cudaError_t error = cudaStreamEndCapture(stream, &graph);
    cudaGraphDestroy(graph);
    return error;
  }
  cudaStream_t stream = nullptr;
};

TEST_F(CapturedStream, WorkRunsWhenTheGraphIsLaunched) {
  int from = 1, to = 0;
  DNN_CUDA_CHECK(cudaMemcpyAsync(&to, &from, sizeof(int), cudaMemcpyDeviceToDevice, stream));
  cudaGraph_t graph = nullptr;
  DNN_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  size_t nodes = 0;
  DNN_CUDA_CHECK(cudaGraphGetNodes(graph, nullptr, &nodes));
  EXPECT_EQ(nodes, 1u);
  cudaGraphExec_t exec = nullptr;
  DNN_CUDA_CHECK(cudaGraphInstantiateWithFlags(&exec, graph, 0));
  DNN_CUDA_CHECK(cudaGraphDestroy(graph));
  DNN_CUDA_CHECK(cudaStreamSynchronize(stream));
  EXPECT_EQ(to, 0);
  for (const int value : {7, 8}) {
    from = value;
    DNN_CUDA_CHECK(cudaGraphLaunch(exec, stream));
    DNN_CUDA_CHECK(cudaStreamSynchronize(stream));
    EXPECT_EQ(to, value);
  }
  DNN_CUDA_CHECK(cudaGraphExecDestroy(exec));
}

TEST_F(CapturedStream, WhatWaitsSpoilsTheCapture) {
  cudaStreamCaptureStatus status{};
  DNN_CUDA_CHECK(cudaStreamIsCapturing(stream, &status));
  EXPECT_EQ(status, cudaStreamCaptureStatusActive);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorStreamCaptureUnsupported);
  DNN_CUDA_CHECK(cudaStreamIsCapturing(stream, &status));
  EXPECT_EQ(status, cudaStreamCaptureStatusInvalidated);
  EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated);
  DNN_CUDA_CHECK(cudaStreamSynchronize(stream));
}

TEST_F(CapturedStream, MemoryIsAskedForInRelaxedModeOnly) {
  void* data = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  DNN_CUDA_CHECK(cudaThreadExchangeStreamCaptureMode(&mode));
  DNN_CUDA_CHECK(cudaMalloc(&data, 16));
  DNN_CUDA_CHECK(cudaFree(data));
  DNN_CUDA_CHECK(cudaThreadExchangeStreamCaptureMode(&mode));
  EXPECT_EQ(cudaMalloc(&data, 16), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated);
}

TEST_F(CapturedStream, EventsDoNotCrossItsBorder) {
  cudaEvent_t event = nullptr;
  DNN_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  DNN_CUDA_CHECK(cudaEventRecord(event, stream));
  EXPECT_EQ(cudaEventQuery(event), cudaErrorCapturedEvent);
  EXPECT_EQ(cudaEventSynchronize(event), cudaErrorCapturedEvent);
  EXPECT_EQ(cudaStreamWaitEvent(stream, event), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated);
  cudaEventDestroy(event);
}

// ---- memory ---------------------------------------------------------------------------------------------------------

class Pool : public ::testing::Test {
 protected:
  Pool() {
    allocator.set_caching(true);
    pool = allocator.make_pool();
  }
  ~Pool() override {
    if (pool != nullptr) allocator.release_pool(pool);
    allocator.release_cached();
  }
  void* take_inside(int64_t bytes) {
    allocator.enter(pool);
    void* const data = allocator.allocate(bytes);
    allocator.leave();
    return data;
  }
  void release_pool() {
    allocator.release_pool(pool);
    pool = nullptr;
  }
  cuda::Allocator allocator{0};
  cuda::Allocator::Pool* pool = nullptr;
};

TEST_F(Pool, ItsMemoryIsReusedInsideAlone) {
  void* const inside = take_inside(5000);
  allocator.release(inside);
  void* const outside = allocator.allocate(5000);
  EXPECT_NE(outside, inside);
  EXPECT_EQ(take_inside(5000), inside);
  allocator.release_cached();
  allocator.release(inside);
  allocator.release(outside);
}

TEST_F(Pool, TakesOverSegmentsThatAreWhollyFree) {
  void* const whole = allocator.allocate(int64_t{3} << 20);
  allocator.release(whole);
  const int64_t requests = allocator.stats().system_requests;
  EXPECT_EQ(take_inside(int64_t{3} << 20), whole);
  EXPECT_EQ(allocator.stats().system_requests, requests);
  allocator.release(whole);
}

TEST_F(Pool, ItsMemoryJoinsTheGeneralStock) {
  void* const used = take_inside(int64_t{3} << 20);
  void* const free = take_inside(5000);
  allocator.release(free);
  release_pool();
  EXPECT_EQ(allocator.allocate(5000), free);
  allocator.release(free);
  allocator.release(used);
  EXPECT_EQ(allocator.allocate(int64_t{3} << 20), used);
  allocator.release(used);
  allocator.release_cached();
  EXPECT_EQ(allocator.stats().reserved, 0);
}

// Where nothing is cached, nothing is reused either while the pool lives.
TEST_F(Pool, WithoutCachingBlocksStayUntilTheEnd) {
  allocator.set_caching(false);
  void* const first = take_inside(100);
  allocator.release(first);
  void* const second = take_inside(100);
  EXPECT_NE(second, first);
  release_pool();
  EXPECT_EQ(allocator.stats().reserved, 100);
  allocator.release(second);
  EXPECT_EQ(allocator.stats().reserved, 0);
}

// ---- recordings -----------------------------------------------------------------------------------------------------

class RecordingTest : public ::testing::Test {
 protected:
  RecordingTest() : pool(context.memory().make_pool()) {}
  ~RecordingTest() override {
    context.memory().release_pool(pool);
    EXPECT_EQ(take_failure(), "");
  }
  Context& context = Context::of(0);
  cuda::Allocator::Pool* const pool;
};

struct Pair {
  int a = 0;
  double b = 0;
};

__global__ void write_pair_kernel(cuda::Varying<Pair> pair, double* to) {
  to[0] = pair().a;
  to[1] = pair().b;
}

TEST_F(RecordingTest, NumbersThatVaryAreReadFromDeviceMemory) {
  const cuda::Scratch memory(context, 16);
  const auto seen = [&] {
    std::vector<double> values(2);
    context.to_host(values.data(), memory.as<void>(), 16);
    return values;
  };
  const auto give = [&] {
    launch(write_pair_kernel, {1, 1}, context,
           cuda::varying(context, true,
                         [] {
                           return Pair{1, 2};
                         }),
           memory.as<double>());
  };
  give();
  EXPECT_THAT(seen(), ElementsAre(1, 2)) << "outside of a graph";

  cuda::begin_capture(0, pool);
  give();
  const auto graph = cuda::end_capture(0);
  EXPECT_EQ(graph->nodes(), 1);
  const int64_t before = counters().launches;
  graph->launch();
  EXPECT_THAT(seen(), ElementsAre(1, 2));
  EXPECT_EQ(counters().launches, before + 1) << "brings the numbers";
  graph->launch();
  EXPECT_EQ(counters().launches, before + 1) << "they are there";
}

TEST_F(RecordingTest, ManyNumbersFillSeveralBlocks) {
  cuda::begin_capture(0, pool);
  std::vector<const void*> places;
  for (int i = 0; i < 100; ++i)
    places.push_back(context.recording()->varying(4, [i](void* to) { std::memcpy(to, &i, 4); }));
  const auto graph = cuda::end_capture(0);
  graph->launch();
  for (int i = 0; i < 100; ++i) {
    int value = -1;
    context.to_host(&value, places[static_cast<size_t>(i)], 4);
    EXPECT_EQ(value, i);
  }
}

TEST_F(RecordingTest, AnAbandonedOneLeavesTheStreamUsable) {
  cuda::begin_capture(0, pool);
  EXPECT_EQ(cuda::why_no_capture(0), "this thread records another step");
  { const Tensor lost = ones({4}, {.device = Device::cuda()}); }
  cuda::abandon_capture(0);
  EXPECT_EQ(context.recording(), nullptr);
  EXPECT_EQ(cuda::why_no_capture(0), "");
  EXPECT_THAT(ones({2}, {.device = Device::cuda()}).to_vector<float>(), ElementsAre(1, 1));
  cuda::abandon_capture(0);
}

TEST_F(RecordingTest, TablesOfAGraphAreKeptAndSentOnce) {
  const auto bytes = [](int value) { return std::vector<std::byte>(100, static_cast<std::byte>(value)); };
  const void* const known = context.table(bytes(101));
  cuda::begin_capture(0, pool);
  EXPECT_EQ(context.table(bytes(101)), known);
  const void* const fresh = context.table(bytes(102));
  const auto graph = cuda::end_capture(0);
  for (int i = 0; i < 40; ++i) context.table(bytes(i));  // the known one gives way, but not to others
  graph->launch();
  std::vector<std::byte> result(100);
  context.to_host(result.data(), known, 100);
  EXPECT_EQ(result, bytes(101));
  context.to_host(result.data(), fresh, 100);
  EXPECT_EQ(result, bytes(102));
}

}  // namespace
}  // namespace dnn::simt::test
