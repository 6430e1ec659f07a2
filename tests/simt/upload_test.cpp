// Uploads that overlap with computing: the order in which the device works, and the data under every order of streams.
#include <gmock/gmock.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "cuda/check.h"
#include "cuda/context.h"
#include "cuda/staging.h"
#include "dnn/error.h"
#include "dnn/ops/activation.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/reduce.h"
#include "dnn/ops/shape.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

using cuda::Context;
using ::testing::ElementsAre;

constexpr int64_t kib = int64_t{1} << 10, mib = int64_t{1} << 20;

class Upload : public ::testing::Test {
 protected:
  Upload() {
    set_order(Order::forward);
    context.memory().set_caching(true);
  }
  ~Upload() override {
    set_streams(Streams::lazy);
    set_machine({});
    set_order(Order::every);
    context.memory().set_caching(false);
    context.release_cached();
  }
  // A batch of the CPU; its numbers depend on the step.
  static Tensor batch(int64_t bytes, int64_t step) {
    return arange(0, bytes / 4, 1, {.dtype = DType::float32}) + static_cast<double>(100 * step);
  }
  // What streams ran, everything between two uploads as one "compute".
  static std::vector<std::string> collapsed_trace() {
    std::vector<std::string> result;
    for (const std::string& name : take_trace()) {
      const std::string kind = name == "upload" ? "upload" : "compute";
      if (kind == "upload" || result.empty() || result.back() == "upload") result.push_back(kind);
    }
    return result;
  }
  // A step that computes with its batch and frees it.
  void step(int64_t bytes, int64_t number) {
    const Tensor x = batch(bytes, number).to(Device::cuda());
    results.push_back(relu(x));
  }
  void expect_results(int64_t bytes) const {
    for (size_t i = 0; i < results.size(); ++i)
      ASSERT_EQ(results[i].to_vector<float>(), batch(bytes, static_cast<int64_t>(i)).to_vector<float>()) << i;
  }
  Context& context = Context::of(0);
  std::vector<Tensor> results;
};

TEST_F(Upload, TheNextBatchIsCopiedWhileThisOneComputes) {
  const int64_t bytes = 256 * kib;
  set_machine({.slow = true});
  for (int64_t i = 0; i < 4; ++i) step(bytes, i);  // brings two blocks into rotation
  results.clear();
  synchronize(Device::cuda());
  set_streams(Streams::ahead);
  const int64_t waits = host_waits(Device::cuda());
  const Counters before = counters();
  start_trace();
  for (int64_t i = 0; i < 4; ++i) step(bytes, i);
  EXPECT_EQ(host_waits(Device::cuda()), waits);
  EXPECT_EQ(counters().waits, before.waits);
  EXPECT_EQ(counters().allocations, before.allocations);
  synchronize(Device::cuda());
  // Two blocks in turn: the copy of the third batch has to wait for the first step, and so on.
  EXPECT_THAT(collapsed_trace(), ElementsAre("upload", "upload", "compute", "upload", "compute", "upload", "compute"));
  expect_results(bytes);
}

TEST_F(Upload, SmallOnesComeInTheOrderOfTheWork) {
  set_streams(Streams::ahead);
  start_trace();
  for (int64_t i = 0; i < 3; ++i) step(1 * kib, i);
  synchronize(Device::cuda());
  EXPECT_THAT(collapsed_trace(), ElementsAre("upload", "compute", "upload", "compute", "upload", "compute"));
  expect_results(1 * kib);
}

// Batches that are written in place, seen through views, kept for long, freed unused, of changing sizes.
TEST_F(Upload, DataIsRightUnderEveryOrderOfStreams) {
  const std::vector<std::pair<Streams, uint64_t>> orders{{Streams::lazy, 1},     {Streams::ahead, 1},
                                                         {Streams::shuffled, 1}, {Streams::shuffled, 2},
                                                         {Streams::shuffled, 3}, {Streams::shuffled, 4}};
  for (const auto& [order, seed] : orders) {
    for (const bool slow : {false, true}) {
      set_machine({.slow = slow});
      set_streams(order, seed);
      std::deque<std::pair<Tensor, Tensor>> kept;
      std::vector<std::pair<Tensor, Tensor>> pairs;  // of the GPU, of the CPU
      for (int64_t i = 0; i < 24; ++i) {
        Tensor host = batch(i % 7 == 6 ? 96 * kib : 128 * kib, i);
        Tensor x = host.to(Device::cuda());
        switch (i % 5) {
          case 0: break;  // freed unused
          case 1:
            x.add_(ones({}, x.options()), 3);
            host.add_(ones({}), 3);
            pairs.emplace_back(x * 2.0, host * 2.0);
            break;
          case 2: kept.emplace_back(slice(x, 0, 1000, 2000), slice(host, 0, 1000, 2000)); break;
          default: pairs.emplace_back(relu(x), host);
        }
        if (kept.size() > 2) {
          pairs.emplace_back(kept.front().first + 1.0, kept.front().second + 1.0);
          kept.pop_front();
        }
      }
      pairs.insert(pairs.end(), kept.begin(), kept.end());
      for (size_t i = 0; i < pairs.size(); ++i)
        ASSERT_EQ(pairs[i].first.to_vector<float>(), pairs[i].second.to_vector<float>()) << i << " seed " << seed;
    }
  }
}

// A tensor is released while another GPU is the current one.
TEST_F(Upload, TwoGpusHaveBlocksOfTheirOwnInRotation) {
  Context& second = Context::of(1);
  second.memory().set_caching(true);
  set_machine({.slow = true});
  set_streams(Streams::ahead);
  for (int64_t i = 0; i < 6; ++i) {
    if (i == 4) synchronize(Device::cuda(0)), synchronize(Device::cuda(1));
    const Counters before = counters();
    Tensor a = batch(128 * kib, i).to(Device::cuda(0)), b = batch(128 * kib, i + 1).to(Device::cuda(1));
    const Tensor from_a = relu(a), from_b = relu(b);  // leaves the second GPU as the current one
    a = {}, b = {};
    if (i >= 4) {
      EXPECT_EQ(counters().allocations, before.allocations);
    }
    ASSERT_EQ(from_a.to_vector<float>(), batch(128 * kib, i).to_vector<float>());
    ASSERT_EQ(from_b.to_vector<float>(), batch(128 * kib, i + 1).to_vector<float>());
  }
  second.memory().set_caching(false);
  second.release_cached();
}

TEST_F(Upload, LargeBatchesHavePinnedBuffersOfTheirOwn) {
  const int64_t bytes = 3 * mib;
  for (int64_t i = 0; i < 4; ++i) step(bytes, i);
  results.clear();
  synchronize(Device::cuda());
  set_machine({.slow = true});
  const int64_t waits = host_waits(Device::cuda());
  for (int64_t i = 0; i < cuda::Staging::large_count; ++i) step(bytes, i);
  EXPECT_EQ(host_waits(Device::cuda()), waits) << "the ring would have been full";
  step(bytes, cuda::Staging::large_count);
  EXPECT_EQ(host_waits(Device::cuda()), waits + 1) << "the host is too far ahead, and says that it waits";
  expect_results(bytes);
}

// Another thread may read from the GPU between an upload and the work that waits for it.
TEST_F(Upload, ADownloadDoesNotOverwriteABufferThatACopyStillReads) {
  cudaStream_t copies = nullptr, work = nullptr;
  DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&copies, cudaStreamNonBlocking));
  DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&work, cudaStreamNonBlocking));
  static auto& staging = *new cuda::Staging;  // like a context's, it is never destroyed
  const cuda::Scratch uploaded(context, 4), other(context, 4);
  const int sent = 5;
  int read = 0;
  staging.to_device(uploaded.as<int>(), &sent, 4, copies);
  for (int i = 0; i < cuda::Staging::buffer_count; ++i) staging.to_host(&read, other.as<int>(), 4, work);
  DNN_CUDA_CHECK(cudaStreamSynchronize(copies));
  staging.to_host(&read, uploaded.as<int>(), 4, work);
  EXPECT_EQ(read, sent);
  cudaStreamDestroy(copies);
  cudaStreamDestroy(work);
}

TEST_F(Upload, WithoutPinnedMemoryForABatchTheRingServes) {
  const int64_t bytes = 3 * mib;
  for (int i = 0; i < cuda::Staging::buffer_count; ++i) batch(4, i).to(Device::cuda());  // the ring exists
  context.release_cached();
  set_machine({.pinned = 0});
  for (int64_t i = 0; i < 3; ++i) step(bytes, i);
  expect_results(bytes);
}

TEST_F(Upload, BlocksInRotationCountAsCachedAndAreFew) {
  const int64_t bytes = 256 * kib;
  context.release_cached();
  const MemoryStats before = memory_stats(Device::cuda());
  {
    std::vector<Tensor> all;
    for (int64_t i = 0; i < 12; ++i) all.push_back(batch(bytes, i).to(Device::cuda()));
    EXPECT_EQ(memory_stats(Device::cuda()).in_use, before.in_use + 12 * bytes);
  }
  EXPECT_EQ(memory_stats(Device::cuda()).in_use, before.in_use);
  EXPECT_GE(memory_stats(Device::cuda()).reserved, before.in_use + 12 * bytes);
  {
    const int64_t requests = memory_stats(Device::cuda()).system_requests;
    const Tensor large = zeros({mib / 4}, {.device = Device::cuda()});  // only two blocks are kept apart
    EXPECT_EQ(memory_stats(Device::cuda()).system_requests, requests);
  }
  context.release_cached();
  EXPECT_EQ(memory_stats(Device::cuda()).reserved, before.reserved);
}

TEST_F(Upload, BlocksInRotationAreGivenBackWhenMemoryRunsShort) {
  context.release_cached();
  const MemoryStats before = memory_stats(Device::cuda());
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  set_machine({.memory = static_cast<int64_t>(total - free) + 8 * mib});
  for (int64_t i = 0; i < 3; ++i) batch(4 * mib, i).to(Device::cuda());
  const Tensor all = zeros({2 * mib}, {.device = Device::cuda()});
  EXPECT_EQ(memory_stats(Device::cuda()).reserved, before.reserved + 8 * mib);
}

TEST(HostWaits, AreItemsCopiesToTheHostAndExplicitOnes) {
  const Device gpu = Device::cuda();
  const Tensor x = ones({3}).to(gpu);
  const int64_t before = host_waits(gpu);
  const Tensor y = sum(x * 2.0);
  EXPECT_EQ(host_waits(gpu), before);
  EXPECT_EQ(y.item(), 6);
  EXPECT_EQ(host_waits(gpu), before + 1);
  x.to(Device::cpu());
  EXPECT_EQ(host_waits(gpu), before + 2);
  synchronize(gpu);
  EXPECT_EQ(host_waits(gpu), before + 3);
  EXPECT_EQ(host_waits(Device::cpu()), 0);
  EXPECT_THROW(host_waits(Device::cuda(100)), DeviceError);
}

}  // namespace dnn::simt::test
