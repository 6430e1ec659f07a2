// What happens between two devices, without a second one: the CPU's runtime plays two GPUs that have no kernels of
// ours.
#include <gtest/gtest.h>

#include "core/kernels/conv.h"
#include "core/kernels/linear.h"
#include "core/kernels/runtime.h"
#include "dnn/ops.h"
#include "dnn/system.h"
#include "tests/harness/errors.h"

namespace dnn {
namespace {

class TwoDevices : public ::testing::Test {
 protected:
  TwoDevices() {
    detail::ensure_installed();
    detail::DeviceRuntime& table = detail::runtime_table(DeviceType::cuda);
    before_ = table;
    table = detail::runtime_table(DeviceType::cpu);
    table.device_count = [] { return 2; };
  }
  ~TwoDevices() override { detail::runtime_table(DeviceType::cuda) = before_; }

 private:
  detail::DeviceRuntime before_;
};

const Device gpu = Device::cuda(0);

// A GPU whose backend has no products would only throw.
TEST_F(TwoDevices, TheBestOneCanTrainANetwork) {
  const auto kernel_of = [](const auto& slot) { return slot.filled(gpu) ? slot[gpu].function() : nullptr; };
  const auto product = kernel_of(kernel::gemm);
  const auto convolution = kernel_of(kernel::conv2d_forward);
  kernel::gemm.set(DeviceType::cuda, nullptr);
  kernel::conv2d_forward.set(DeviceType::cuda, kernel::conv2d_forward[Device::cpu()].function());
  EXPECT_EQ(Device::best(), Device::cpu());
  EXPECT_EQ(system_report().why_best, "cuda:0 cannot train a network: no kernel for gemm");
  kernel::gemm.set(DeviceType::cuda, kernel::gemm[Device::cpu()].function());
  EXPECT_EQ(Device::best(), gpu);
  EXPECT_EQ(system_report().why_best, "it is the first usable GPU");
  detail::runtime_table(DeviceType::cuda).why_incapable = [] { return std::string("no libcudnn.so.9"); };
  EXPECT_EQ(Device::best(), Device::cpu());
  EXPECT_EQ(system_report().why_best, "cuda:0 cannot train a network: no libcudnn.so.9");
  kernel::gemm.set(DeviceType::cuda, product);
  kernel::conv2d_forward.set(DeviceType::cuda, convolution);
}

TEST_F(TwoDevices, TensorsMoveThereAndBack) {
  const Tensor x = tensor({1, 2, 3}).set_requires_grad();
  const Tensor there = x.to(gpu);
  EXPECT_EQ(there.device(), gpu);
  EXPECT_EQ(there.to_vector<float>(), (std::vector<float>{1, 2, 3}));
  const Tensor back = there.to(Device::cpu());
  (back * 2).sum().backward();
  EXPECT_EQ(x.grad().device(), Device::cpu());
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{2, 2, 2}));
}

TEST_F(TwoDevices, OperandsOnDifferentDevicesAreRefused) {
  const Tensor a = zeros({2, 3}), b = empty({2, 3}, {.device = gpu});
  EXPECT_ERROR(a + b, DeviceError, "add: b is on cuda:0, a on cpu, expected one device (shapes [2, 3], [2, 3])");
  EXPECT_ERROR(matmul(b, a.t()), DeviceError,
               "matmul: b is on cpu, a on cuda:0, expected one device (shapes [3, 2], [2, 3])");
  EXPECT_ERROR(linear(a, b), DeviceError,
               "linear: weight is on cuda:0, input on cpu, expected one device (shapes [2, 3], [2, 3])");
  EXPECT_ERROR(cat({a, b}), DeviceError,
               "cat: tensor is on cuda:0, first tensor on cpu, expected one device (shapes [2, 3], [2, 3])");
  EXPECT_ERROR(sgd_update_({a}, {b}, {}, {}), DeviceError,
               "sgd_update_: gradients is on cuda:0, parameter on cpu, expected one device (shapes [2, 3], [2, 3])");
  EXPECT_ERROR(Tensor(a).set_grad(b), DeviceError,
               "set_grad: gradient is on cuda:0, tensor on cpu, expected one device (shapes [2, 3], [2, 3])");
  const Tensor leaf = zeros({2, 3}, {.requires_grad = true});
  EXPECT_ERROR((leaf * 1).backward(b), ShapeError,
               "backward: the upstream gradient is float32 [2, 3] on cuda:0, expected float32 [2, 3] on cpu");
}

TEST_F(TwoDevices, NothingGoesFromOneGpuToTheOther) {
  const Tensor x = empty({2}, {.device = gpu});
  EXPECT_ERROR(x.to(Device::cuda(1)), DeviceError, "to: no copy from cuda:0 to cuda:1, expected the CPU on one side");
  EXPECT_ERROR(empty({2}, {.device = Device::cuda(2)}), DeviceError,
               "device: cuda:2 does not exist, expected an index below 2");
}

}  // namespace
}  // namespace dnn
