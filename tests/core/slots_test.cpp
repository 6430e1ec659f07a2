// No kernel slot stays empty, fused ones aside.
#include <gmock/gmock.h>

#include <set>
#include <string>

#include "core/kernels/all.h"
#include "core/kernels/runtime.h"
#include "dnn/ops.h"
#include "tests/harness/errors.h"

namespace dnn {
namespace {

using ::testing::IsEmpty;

// A fused kernel may be missing: core composes the plain ones. So may a wish, which has a value without it.
const std::set<std::string> optional{"conv2d_fused",
                                     "conv2d_pool_fits",
                                     "conv2d_pool_forward",
                                     "conv2d_pool_backward_data",
                                     "conv2d_pool_backward_weight",
                                     "linear_fused",
                                     "linear_backward_weight",
                                     "linear_relu",
                                     "linear_backward_relu",
                                     "response_norm_plan",
                                     "batch_norm_pool_fits",
                                     "batch_norm_pool_train",
                                     "batch_norm_pool_backward"};

std::set<std::string> empty_slots(Device device) {
  detail::ensure_installed();
  std::set<std::string> names;
  kernel::visit_all_slots([&](const auto& slot) {
    if (!slot.filled(device) && !optional.contains(slot.name())) names.insert(slot.name());
  });
  return names;
}

TEST(Slots, TheCpuFillsAll) { EXPECT_THAT(empty_slots(Device::cpu()), IsEmpty()); }

TEST(Slots, CudaFillsAll) {
#ifndef DNN_HAS_CUDA
  GTEST_SKIP() << "built without CUDA";
#endif
  EXPECT_THAT(empty_slots(Device::cuda()), IsEmpty());
}

TEST(Slots, AnEmptyOneThrows) {
  static constinit kernel::Slot<void(int)> lonely{"roi_align"};
  EXPECT_ERROR(lonely[Device::cuda()](1), DeviceError, "roi_align: no kernel for cuda:0");
  EXPECT_ERROR(lonely[Device::cpu()](1), DeviceError, "roi_align: no kernel for cpu");
  lonely.set(DeviceType::cpu, [](int) {});
  lonely[Device::cpu()](1);
  EXPECT_FALSE(lonely.filled(Device::cuda()));
}

// Without the fused kernels the composition must give the same.
TEST(Slots, AnEmptyFusedSlotMeansTheComposition) {
  detail::ensure_installed();
  const auto run = [] {
    manual_seed(1);
    const Tensor x = randn({2, 3, 5, 5}), w = randn({4, 3, 3, 3}, {.requires_grad = true}), b = randn({4});
    const Tensor add = randn({2, 4, 3, 3});
    const Tensor y = conv2d(x, w, b, {.activation = Activation::relu, .add = add});
    const Tensor v = randn({6, 36}, {.requires_grad = true});
    const Tensor z = linear(y.flatten(), v, randn({6}), {.activation = Activation::relu, .add = randn({2, 6})});
    const Tensor u = randn({8, 6}, {.requires_grad = true}), c = randn({8}, {.requires_grad = true});
    const Tensor last = linear(z, u, c, {.activation = Activation::gelu_tanh, .add = randn({2, 8})});
    last.sum().backward();
    std::vector<float> all = z.to_vector<float>();
    for (const Tensor& t : {last, w.grad(), v.grad(), u.grad(), c.grad()})
      for (float value : t.to_vector<float>()) all.push_back(value);
    return all;
  };
  const auto fused_results = run();
  const auto conv =
      kernel::conv2d_fused.filled(Device::cpu()) ? kernel::conv2d_fused[Device::cpu()].function() : nullptr;
  const auto linear =
      kernel::linear_fused.filled(Device::cpu()) ? kernel::linear_fused[Device::cpu()].function() : nullptr;
  kernel::conv2d_fused.set(DeviceType::cpu, nullptr);
  kernel::linear_fused.set(DeviceType::cpu, nullptr);
  const auto composed_results = run();
  kernel::conv2d_fused.set(DeviceType::cpu, conv);
  kernel::linear_fused.set(DeviceType::cpu, linear);
  EXPECT_THAT(composed_results, ::testing::Pointwise(::testing::FloatNear(1e-4f), fused_results));
}

}  // namespace
}  // namespace dnn
