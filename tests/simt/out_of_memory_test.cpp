// Memory that runs out on the emulated GPU in the middle of a training step: forward, backward or update. The step
// comes out as OutOfMemory with the numbers, nothing is left behind, and once there is memory again it gives what it
// would have given at first.
#include <gmock/gmock.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/kernels/runtime.h"
#include "cuda/context.h"
#include "dnn/dnn.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {
namespace {

using cuda::Context;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// A net on the GPU that makes steps, and says in which part of a step it is.
struct Training {
  Training() { net.to(Device::cuda()); }
  static Sequential seeded_net() {
    manual_seed(5);
    return Sequential(Conv2d(1, 4, {.kernel = 3}), BatchNorm2d(4), ReLU(), MaxPool2d({.kernel = 2}), Flatten(),
                      Linear(36, 10));
  }
  void step() {
    optimizer.zero_grad();
    part = "forward";
    const Tensor loss = cross_entropy(net(x.to(Device::cuda())), y.to(Device::cuda()));
    part = "backward";
    loss.backward();
    part = "update";
    if (before_update) before_update();
    optimizer.step();
    part = "done";
  }
  std::vector<float> weights() {
    std::vector<float> all;
    for (const Tensor& p : net.parameters())
      for (const float value : p.to_vector<float>()) all.push_back(value);
    return all;
  }
  Sequential net = seeded_net();
  AdamW optimizer{net.parameters(), {.lr = 0.01}};
  Tensor x = rand({3, 1, 8, 8}), y = tensor({1, 9, 4}, {3}, {.dtype = DType::int64});
  std::string part;
  std::function<void()> before_update;
};

class OutOfMemoryInAStep : public ::testing::Test {
 protected:
  OutOfMemoryInAStep() { set_order(Order::forward); }
  ~OutOfMemoryInAStep() override {
    detail::fail_allocation(0);
    set_machine({});
    Context::of(0).memory().set_caching(false);
    Context::of(0).release_cached();
    set_order(Order::every);
  }
  // Two steps, each of which fails in every way that `fail(k)` can make it before it gets through; the parts in which
  // it failed.
  static std::set<std::string> survive(const std::function<void(int)>& fail, const std::function<void()>& stop,
                                       const std::function<void()>& before_update = {}) {
    std::vector<float> expected;
    {
      Training undisturbed;
      undisturbed.step(), undisturbed.step();
      expected = undisturbed.weights();
    }
    Training training;
    training.before_update = before_update;
    std::set<std::string> parts;
    for (int i = 0; i < 2; ++i) {
      for (int k = 0;; ++k) {
        fail(k);
        bool failed = false;
        try {
          training.step();
        } catch (const OutOfMemory& error) {
          failed = true;
          parts.insert(training.part);
          for (const Tensor& p : training.net.parameters())
            EXPECT_EQ(p.has_grad(), training.part == "update") << training.part;
        }
        stop();
        if (!failed) break;
      }
    }
    EXPECT_EQ(training.weights(), expected);
    return parts;
  }
};

TEST_F(OutOfMemoryInAStep, WhicheverTensorItHits) {
  EXPECT_THAT(survive([](int k) { detail::fail_allocation(k + 1); }, [] { detail::fail_allocation(0); }),
              UnorderedElementsAre("forward", "backward", "update"));
}

// Leaves the machine that much memory more than is in use.
void leave_memory(int64_t bytes) {
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  set_machine({.memory = static_cast<int64_t>(total - free) + bytes});
}

// As the driver does it: scratch memory and tables count too.
TEST_F(OutOfMemoryInAStep, WhenTheDriverHasNoMore) {
  EXPECT_THAT(survive([](int k) { leave_memory(1024 * k); }, [] { set_machine({}); }),
              UnorderedElementsAre("forward", "backward"));
}

TEST_F(OutOfMemoryInAStep, WhenTheDriverHasNoMoreForTheUpdate) {
  int attempt = 0;
  EXPECT_THAT(survive([&](int k) { attempt = k; }, [] { set_machine({}); }, [&] { leave_memory(256 * attempt); }),
              UnorderedElementsAre("update"));
}

TEST_F(OutOfMemoryInAStep, TakesNothingAlong) {
  Training training;
  training.step();
  const int64_t in_use = memory_stats(Device::cuda()).in_use;
  for (int k = 1;; ++k) {
    detail::fail_allocation(k);
    bool failed = false;
    try {
      training.step();
    } catch (const OutOfMemory&) {
      failed = true;
    }
    detail::fail_allocation(0);
    EXPECT_EQ(memory_stats(Device::cuda()).in_use, in_use) << k;
    if (!failed) break;
  }
}

TEST_F(OutOfMemoryInAStep, SaysTheNumbersAfterTheCacheIsGivenBack) {
  Context& context = Context::of(0);
  context.memory().set_caching(true);
  Training training;
  training.step();
  { const Tensor cached = zeros({1 << 20}, {.device = Device::cuda()}); }
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  set_machine({.memory = static_cast<int64_t>(total - free) + (1 << 20)});
  const Tensor from_the_cache = zeros({5 << 18}, {.device = Device::cuda()});  // 5 MiB: the cached 4 and the free 1
  try {
    zeros({1 << 22}, {.device = Device::cuda()});
    ADD_FAILURE() << "expected OutOfMemory";
  } catch (const OutOfMemory& error) {
    EXPECT_THAT(error.what(), HasSubstr("allocate: 16777216 bytes do not fit on cuda:0, expected at most the "));
    EXPECT_THAT(error.what(), HasSubstr(" bytes that are free of "));
    EXPECT_THAT(error.what(), HasSubstr(" cached)"));
  }
  set_machine({});
  EXPECT_NO_THROW(training.step());
}

}  // namespace
}  // namespace dnn::simt::test
