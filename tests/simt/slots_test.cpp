// The slots of the emulated GPU, all filled by the backend itself.
#include <gtest/gtest.h>

#include "core/kernels/all.h"

namespace dnn::simt::test {

TEST(Slots, NoneIsEmpty) {
  kernel::visit_all_slots([](const auto& slot) { EXPECT_TRUE(slot.filled(Device::cuda())) << slot.name(); });
}

}  // namespace dnn::simt::test
