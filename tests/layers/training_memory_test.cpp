// What a training step of the large networks takes at most: the highest resident size of the process (VmHWM).
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <string>

#include "dnn/models.h"
#include "dnn/ops.h"
#include "dnn/optim.h"

namespace dnn::test {
namespace {

// In GB of 10^9 bytes; 0 where the system does not tell.
double peak() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmHWM:") {
      double kilobytes = 0;
      status >> kilobytes;
      return kilobytes * 1024 / 1e9;
    }
  return 0;
}

// Makes the present size the highest.
void forget_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

// Two steps, of which the second has all of the optimizer's state beside it.
template <class Net>
void expect_below_4_gb(const char* name, Net (*make)(), int64_t batch) {
  forget_peak();
  if (peak() == 0) GTEST_SKIP() << "/proc/self/status has no VmHWM";
  Net net = make();
  SGD sgd(net.parameters(), {.lr = 0.01, .momentum = 0.9, .weight_decay = 1e-4});
  const Tensor images = randn({batch, 3, 224, 224}), labels = zeros({batch}, {.dtype = DType::int64});
  for (int step = 0; step < 2; ++step) {
    sgd.zero_grad();
    cross_entropy(net(images), labels).backward();
    sgd.step();
    std::cout << name << ", batch " << batch << ", step " << step << ": peak " << peak() << " GB\n";
  }
  EXPECT_LT(peak(), 4);
}

TEST(TrainingMemory, ResNet50) {
  expect_below_4_gb<ResNet>(
      "resnet50", [] { return resnet50(); }, 8);
}
TEST(TrainingMemory, AlexNet) {
  expect_below_4_gb<AlexNet>(
      "alexnet", [] { return alexnet(); }, 32);
}
TEST(TrainingMemory, AlexNet2012) {
  expect_below_4_gb<Sequential>(
      "alexnet2012", [] { return alexnet2012(); }, 32);
}

}  // namespace
}  // namespace dnn::test
