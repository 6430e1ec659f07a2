// Memory of a device: thousands of allocations, and a request that cannot be met.
#include <gmock/gmock.h>

#include <map>

#include "tests/gpu/support.h"

namespace dnn::test {
namespace {

class Memory : public OnDevice {};

// Tensors of all sizes come and go in a random order; each keeps its own contents.
TEST_P(Memory, IsInOrderAfterTenThousandAllocations) {
  synchronize(device());
  release_cached_memory(device());
  const MemoryStats before = memory_stats(device());
  {
    Generator generator(5);
    std::map<int64_t, Tensor> alive;
    for (int64_t i = 0; i < 10000; ++i) {
      const int64_t place = static_cast<int64_t>(generator.below(200));
      const int64_t size = int64_t{1} << generator.below(17);
      alive[place] = {};
      alive[place] = full({size + place}, static_cast<double>(i % 1000), {.device = device()});
      if (i % 1000 != 999) continue;
      for (const auto& [key, tensor] : alive) {
        const std::vector<float> values = tensor.to_vector<float>();
        ASSERT_EQ(std::count(values.begin(), values.end(), values.front()), std::ssize(values)) << "after " << i;
      }
      EXPECT_LE(memory_stats(device()).in_use, memory_stats(device()).reserved);
    }
    // At most as much as lives at one time had to be asked for, besides what was lost between the pieces.
    EXPECT_LT(memory_stats(device()).system_requests - before.system_requests, 1000);
  }
  EXPECT_EQ(memory_stats(device()).in_use, before.in_use);
  release_cached_memory(device());
  EXPECT_EQ(memory_stats(device()).reserved, before.reserved);
}

TEST_P(Memory, ARequestLargerThanTheDeviceIsRefusedAndHarmless) {
  const Tensor kept = full({1000}, 3, {.device = device()});
  const MemoryStats before = memory_stats(device());
  for (int i = 0; i < 3; ++i) {
    try {
      empty({int64_t{1} << 45}, {.device = device()});  // 128 TiB
      FAIL() << "expected OutOfMemory";
    } catch (const OutOfMemory& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(device().is_cuda() ? "140737488355328 bytes do not fit on cuda:0"
                                                                        : "asked for 134217728.0 MiB"));
    }
  }
  EXPECT_EQ(memory_stats(device()).in_use, before.in_use);
  EXPECT_EQ(kept.sum().item(), 3000);
  Training training(tasks().front(), device());
  EXPECT_LT(training.step().item(), 10);
}

// In the middle of a step: the failed one leaves weights and optimizer as they were, and the same step then succeeds.
TEST_P(Memory, AStepThatRanOutOfMemoryCanBeRepeated) {
  const Task& task = tasks().front();
  Training training(task, device()), undisturbed(task, device());
  const Batch batch = batch_of(task, 0, device());
  for (Training* one : {&training, &undisturbed}) one->step(batch);
  EXPECT_THROW(
      {
        const Tensor y = training.net()(batch.input);
        empty({int64_t{1} << 45}, {.device = device()});
      },
      OutOfMemory);
  const double loss = training.step(batch).item();
  EXPECT_NEAR(loss, undisturbed.step(batch).item(), 1e-4);
}

DNN_ON_DEVICES(Memory);

}  // namespace
}  // namespace dnn::test
