// Devices: names, what exists, what does not and why.
#include "dnn/device.h"

#include <gtest/gtest.h>

#include "dnn/ops/factory.h"
#include "tests/harness/errors.h"

namespace dnn {
namespace {

TEST(Device, ReadsAndWritesNames) {
  EXPECT_EQ(Device("cpu"), Device::cpu());
  EXPECT_EQ(Device("cuda"), Device::cuda(0));
  EXPECT_EQ(Device("cuda:0"), Device::cuda(0));
  EXPECT_EQ(Device("cuda:12"), Device::cuda(12));
  EXPECT_EQ(Device::cpu().str(), "cpu");
  EXPECT_EQ(Device::cuda(3).str(), "cuda:3");
  EXPECT_EQ(Device(), Device::cpu());
  EXPECT_TRUE(Device::cuda().is_cuda());
  EXPECT_FALSE(Device::cuda().is_cpu());
  for (const char* text : {"", "gpu", "CPU", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:128", "cuda1",
                           "cudas", "cuda:99999999999999999999"})
    EXPECT_ERROR(Device(text), ArgumentError,
                 "device: \"" + std::string(text) + "\" is no device, expected cpu, cuda or cuda:N");
}

TEST(Device, TheCpuIsAlwaysThere) {
  EXPECT_EQ(device_count(DeviceType::cpu), 1);
  EXPECT_EQ(why_unavailable(DeviceType::cpu), "");
  synchronize(Device::cpu());
}

TEST(Device, AMissingGpuSaysWhy) {
  if (device_count(DeviceType::cuda) > 0) {
    EXPECT_EQ(why_unavailable(DeviceType::cuda), "");
    GTEST_SKIP() << "there is a GPU";
  }
  const std::string reason = why_unavailable(DeviceType::cuda);
#ifndef DNN_HAS_CUDA
  EXPECT_EQ(reason, "this libdnn was built without CUDA");
#endif
  EXPECT_NE(reason, "");
  EXPECT_EQ(Device::best(), Device::cpu());
  const std::string text = "device: cuda:0 is not available: " + reason;
  EXPECT_ERROR(synchronize(Device::cuda()), DeviceError, text);
  EXPECT_ERROR(memory_stats(Device::cuda()), DeviceError, text);
  EXPECT_ERROR(reset_peak_memory(Device::cuda()), DeviceError, text);
  EXPECT_ERROR(release_cached_memory(Device::cuda()), DeviceError, text);
  EXPECT_ERROR(zeros({2}, {.device = Device::cuda()}), DeviceError, text);
  EXPECT_ERROR(zeros({2}).to(Device::cuda()), DeviceError, text);
  EXPECT_ERROR(zeros({2}).to(Device("cuda:3")), DeviceError, "device: cuda:3 is not available: " + reason);
}

TEST(Device, ThereIsOneCpu) {
  EXPECT_ERROR(synchronize(Device(DeviceType::cpu, 1)), DeviceError,
               "device: cpu does not exist, expected an index below 1");
}

TEST(MemoryStats, CountsLiveTensors) {
  const MemoryStats before = memory_stats();
  {
    const Tensor big = empty({1 << 20});
    EXPECT_EQ(memory_stats().in_use, before.in_use + (4 << 20));
    EXPECT_GE(memory_stats().peak, memory_stats().in_use);
    EXPECT_GE(memory_stats().reserved, memory_stats().in_use);
  }
  EXPECT_EQ(memory_stats().in_use, before.in_use);
  EXPECT_GE(memory_stats().peak, before.in_use + (4 << 20));
  reset_peak_memory();
  EXPECT_EQ(memory_stats().peak, before.in_use);
}

TEST(MemoryStats, ABlockIsUsedAgain) {
  { const Tensor first = empty({1 << 18}); }
  const int64_t requests = memory_stats().system_requests;
  for (int i = 0; i < 10; ++i) const Tensor again = empty({1 << 18});
  EXPECT_EQ(memory_stats().system_requests, requests);
  release_cached_memory();
  EXPECT_LT(memory_stats().reserved, memory_stats().in_use + (1 << 18));
  const Tensor fresh = empty({1 << 18});
  EXPECT_EQ(memory_stats().system_requests, requests + 1);
}

}  // namespace
}  // namespace dnn
