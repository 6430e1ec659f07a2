// ResNet-20 on CIFAR-10, the first 200 steps: the loss stays finite and falls.
#include <cmath>
#include <cstdlib>

#include "tests/gpu/support.h"

namespace dnn::test {
namespace {

class Cifar : public OnDevice {
 protected:
  void SetUp() override {
    OnDevice::SetUp();
    if (IsSkipped()) return;
    const std::string missing = Cifar10::why_unavailable({.download = false});
    if (missing.empty()) return;
    const char* required = std::getenv("DNN_REQUIRE_DATA");
    if (required != nullptr && std::string(required) == "1") FAIL() << missing;
    GTEST_SKIP() << missing;
  }
};

// In place of a GPU, the CPU makes a fifth of the steps with small batches.
TEST_P(Cifar, ResNet20LearnsInTwoHundredSteps) {
  const bool all = device().is_cuda();
  const TransformedDataset images(Cifar10(Split::train), {Normalize(Cifar10::normalization())});
  DataLoader loader(images, {.batch_size = all ? 128 : 32, .shuffle = true, .threads = 2, .drop_last = true});
  ResNetCifar net = resnet_cifar(20);
  net.to(device());
  SGD sgd(net.parameters(), {.lr = 0.02, .momentum = 0.9, .weight_decay = 1e-4});
  std::vector<Tensor> waiting;
  const size_t steps = all ? 200 : 40;
  for (const Batch& batch : loader) {
    sgd.zero_grad();
    const Tensor loss = cross_entropy(net(batch.input.to(device())), batch.target.to(device()));
    loss.backward();
    sgd.step();
    waiting.push_back(loss.detach());
    if (waiting.size() == steps) break;
  }
  ASSERT_EQ(waiting.size(), steps);
  double early = 0, late = 0;
  for (size_t i = 0; i < steps; ++i) {
    const double loss = waiting[i].item();
    ASSERT_TRUE(std::isfinite(loss)) << "step " << i;
    if (i < steps / 4) early += loss;
    if (i >= steps - steps / 4) late += loss;
  }
  EXPECT_LT(late, (all ? 0.85 : 0.97) * early);
}

DNN_ON_DEVICES(Cifar);

}  // namespace
}  // namespace dnn::test
