// What fails on a GPU: a device that is lost, launches that are refused, programs that end with tensors alive.
#include <gmock/gmock.h>

#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cuda/check.h"
#include "cuda/context.h"
#include "cuda/launch.cuh"
#include "dnn/error.h"
#include "dnn/ops/activation.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/reduce.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

using cuda::Context;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* cause = "(cudaErrorIllegalAddress: an illegal memory access was encountered";

std::string failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const BackendError& error) {
    return error.what();
  }
  return "nothing failed";
}

class LostDevice : public ::testing::TestWithParam<bool> {
 protected:
  LostDevice() { Context::of(0).memory().set_caching(GetParam()); }
  ~LostDevice() override {
    repair_device();
    cuda::forget_failure();
    Context::of(0).memory().set_caching(false);
  }
  const Device gpu = Device::cuda();
};
INSTANTIATE_TEST_SUITE_P(, LostDevice, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "WithCache" : "WithoutCache"; });

TEST_P(LostDevice, EveryCallSaysSoAndNamesTheFirstFailure) {
  const Tensor x = ones({3}).to(gpu);
  const Tensor y = relu(x);
  lose_device();
  const std::string first = failure_of([&] { y.to(Device::cpu()); });
  EXPECT_THAT(first, AllOf(StartsWith("cuda: cuda"), HasSubstr(cause), HasSubstr("; cuda/"),
                           HasSubstr("the cause may be an earlier kernel, which DNN_SYNC_LAUNCH=1 names")));
  const std::vector<std::function<void()>> calls{
      [&] { relu(x); },
      [&] { sum(x).item(); },
      [&] { zeros({5}, {.device = gpu}); },
      [&] { ones({100000}).to(gpu); },
      [&] { x.to(Device::cpu()); },
      [&] { synchronize(gpu); },
      [&] { memory_stats(gpu); },
      [&] { release_cached_memory(gpu); },
  };
  for (size_t i = 0; i < calls.size(); ++i)
    EXPECT_EQ(failure_of(calls[i]),
              "cuda: the GPU was lost, expected one that works: start the program again (the first failure was: " +
                  first + ")")
        << i;
  EXPECT_EQ(ones({3}).sum().item(), 3) << "the CPU works on";
}

TEST_P(LostDevice, ShowsInWhateverComesFirst) {
  const Tensor x = ones({3}).to(gpu);
  lose_device();
  const std::vector<std::function<void()>> calls{
      [&] { relu(x); },
      [&] { zeros({1 << 22}, {.device = gpu}); },
      [&] { ones({1 << 17}).to(gpu); },
      [&] { synchronize(gpu); },
  };
  for (const auto& call : calls) {
    EXPECT_THAT(failure_of(call), AllOf(StartsWith("cuda: "), HasSubstr(cause)));
    cuda::forget_failure();
  }
}

TEST_P(LostDevice, NamesALibrarysCallWhereLaunchesWait) {
  Context& context = Context::of(0);
  const auto before = context.counters();
  context.called("cublasLtMatmul");
  EXPECT_EQ(context.counters().launches, before.launches + 1);
  EXPECT_EQ(context.counters().waits, before.waits);
  context.set_sync_launch(true);
  context.called("cublasLtMatmul");
  EXPECT_GT(context.counters().waits, before.waits);
  lose_device();
  EXPECT_THAT(failure_of([&] { context.called("cublasLtMatmul"); }),
              StartsWith("cuda: cublasLtMatmul failed, expected success (cudaErrorIllegalAddress"));
  context.set_sync_launch(false);
}

TEST_P(LostDevice, TensorsAreReleasedAllTheSame) {
  const int64_t in_use = memory_stats(gpu).in_use;
  {
    std::vector<Tensor> all;
    for (int i = 0; i < 4; ++i) all.push_back(ones({100000}).to(gpu)), all.push_back(all.back() * 2.0);
    lose_device();
    EXPECT_THAT(failure_of([&] { synchronize(gpu); }), HasSubstr(cause));
  }
  EXPECT_EQ(Context::existing(0)->memory().stats().in_use, in_use);
}

__global__ void idle_kernel() {}

TEST(Launches, ThatAreRefusedAreNamedAndNothingIsLost) {
  Context& context = Context::of(0);
  EXPECT_EQ(failure_of([&] { cuda::launch(idle_kernel, {.blocks = 1, .threads = 2000}, context); }),
            "cuda: dnn::simt::test::idle_kernel failed, expected success (cudaErrorInvalidConfiguration: "
            "cudaErrorInvalidConfiguration)");
  EXPECT_EQ(ones({3}).to(Device::cuda()).sum().item(), 3);
}

TEST(PinnedMemory, ThatIsRefusedIsOutOfMemory) {
  void* data = nullptr;
  set_machine({.pinned = 0});
  try {
    DNN_CUDA_CHECK(cudaMallocHost(&data, 10));
    ADD_FAILURE() << "expected OutOfMemory";
  } catch (const OutOfMemory& error) {
    EXPECT_THAT(error.what(), StartsWith("cuda: cudaMallocHost(&data, 10) failed, expected success"));
  }
  set_machine({});
}

// Static storage is torn down after main, in an order that nobody controls.
std::optional<Tensor> late, late_upload;

TEST(Exit, WithTensorsInStaticStorageIsClean) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto leave = [](bool lost, bool caching) {
    Context::of(0).memory().set_caching(caching);
    late = ones({1000}, {.device = Device::cuda()}) * 2.0;
    late_upload = ones({100000}).to(Device::cuda());
    if (lost) {
      lose_device();
      failure_of([] { synchronize(Device::cuda()); });
    }
    std::exit(7);
  };
  EXPECT_EXIT(leave(false, true), ::testing::ExitedWithCode(7), "");
  EXPECT_EXIT(leave(false, false), ::testing::ExitedWithCode(7), "");
  EXPECT_EXIT(leave(true, true), ::testing::ExitedWithCode(7), "");
  EXPECT_EXIT(leave(true, false), ::testing::ExitedWithCode(7), "");
}

}  // namespace dnn::simt::test
