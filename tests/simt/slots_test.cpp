// Which slots of the GPU hold kernels of its own.
#include <gmock/gmock.h>

#include "core/kernels/all.h"
#include "tests/simt/setup.h"

namespace dnn::simt::test {

// What the real backend takes from libraries; a build with CUDA has these slots empty as long as it lacks the
// libraries.
TEST(Slots, OnlyProductsAreBorrowedFromTheCpu) {
  EXPECT_THAT(slots_of_cpu_kernels(), ::testing::UnorderedElementsAre("gemm", "gemm_batched", "linear_fused"));
}

TEST(Slots, NoneIsEmpty) {
  kernel::visit_all_slots([](const auto& slot) { EXPECT_TRUE(slot.filled(Device::cuda())) << slot.name(); });
}

}  // namespace dnn::simt::test
