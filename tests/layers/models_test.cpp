// The showcase networks: sizes, names, and what their blocks compute.
#include "dnn/models.h"

#include <gtest/gtest.h>

#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

TEST(Models, LeNet5) {
  EXPECT_EQ(lenet5().parameter_count(), 61706);
  EXPECT_EQ(lenet5()(numbers({2, 1, 28, 28})).shape(), Shape({2, 10}));
  EXPECT_EQ(lenet5({.classes = 3, .channels = 3})(numbers({2, 3, 28, 28})).shape(), Shape({2, 3}));
  EXPECT_EQ(lenet5({.size = 33, .width = 9})(numbers({2, 1, 33, 33})).shape(), Shape({2, 10}));
  EXPECT_EQ(lenet5({.size = 12, .width = 3})[3].str(), "Conv2d(3, 8, kernel=5)");
  EXPECT_ERROR(lenet5({.size = 11}), ArgumentError, "lenet5: size is 11, expected at least 12");
  EXPECT_ERROR(lenet5({.width = 8}), ArgumentError, "lenet5: width is 8, expected a multiple of 3");
  EXPECT_ERROR(lenet5({.width = 0}), ArgumentError, "lenet5: width is 0, expected a multiple of 3");
}

TEST(Models, Mlp) {
  EXPECT_EQ(mlp().str(),
            "Sequential(\n  (0): Flatten()\n  (1): Linear(784, 128)\n  (2): ReLU()\n  (3): Dropout(p=0.2)\n"
            "  (4): Linear(128, 10)\n)");
  EXPECT_EQ(mlp().parameter_count(), 101770);
  Sequential net = mlp({.classes = 3, .inputs = 8, .hidden = {6, 5}, .dropout = 0});
  EXPECT_EQ(net.size(), 6);
  EXPECT_EQ(net(numbers({2, 2, 2, 2})).shape(), Shape({2, 3}));
  EXPECT_EQ(mlp({.hidden = {}}).parameter_count(), 7850);
  EXPECT_ERROR(mlp({.hidden = {0}}), ArgumentError, "Linear: in is 784 and out is 0, expected both at least 1");
  EXPECT_ERROR(mlp({.dropout = 2}), ArgumentError, "Dropout: p is 2, expected a probability in [0, 1]");
}

TEST(Models, ResNetCifarHasThePapersSizes) {
  EXPECT_EQ(resnet_cifar(20).parameter_count(), 269722);  // "0.27 M" in table 6
  EXPECT_EQ(resnet_cifar(32).parameter_count(), 464154);
  EXPECT_EQ(resnet_cifar(110).parameter_count(), 1727962);
  EXPECT_EQ(resnet_cifar(20, {.shortcut = Shortcut::projection}).parameter_count(),
            269722 + 16 * 32 + 64 + 32 * 64 + 128);
  ResNetCifar small = resnet_cifar(8, {.classes = 4, .channels = 1, .width = 8});
  EXPECT_EQ(small(numbers({2, 1, 32, 32})).shape(), Shape({2, 4}));
  EXPECT_EQ(small(numbers({2, 1, 17, 11})).shape(), Shape({2, 4}));
}

TEST(Models, ResNetCifarNamesItsParametersAsTorchvisionDoes) {
  const StateDict state = resnet_cifar(14, {.shortcut = Shortcut::projection}).state_dict();
  for (const char* name : {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer2.1.bn2.bias",
                           "layer3.0.downsample.0.weight", "layer3.0.downsample.1.running_var", "fc.bias"})
    EXPECT_TRUE(state.contains(name)) << name;
  EXPECT_FALSE(state.contains("layer1.0.downsample.0.weight"));
}

TEST(Models, PlainNetworksAreResNetsWithoutShortcuts) {
  const StateDict plain = plain_cifar(20).state_dict(), residual = resnet_cifar(20).state_dict();
  ASSERT_EQ(plain.size(), residual.size());
  for (const auto& [name, tensor] : residual) EXPECT_EQ(plain.at(name).shape(), tensor.shape()) << name;
  ResNetCifar small = plain_cifar(8, {.classes = 4, .channels = 1, .width = 8, .shortcut = Shortcut::projection});
  EXPECT_EQ(small(numbers({2, 1, 17, 11})).shape(), Shape({2, 4}));
  EXPECT_EQ(small.layer2[0].type_name(), "PlainBlock");
  check_layer(PlainBlock(8, 16, 2), {2, 8, 6, 6},
              [](PlainBlock& l, const Tensor& x) { return relu(l.bn2(l.conv2(relu(l.bn1(l.conv1(x)))))); });
}

TEST(Models, BasicBlockWithProjection) {
  check_layer(BasicBlock(8, 16, 2), {2, 8, 6, 6}, [](BasicBlock& l, const Tensor& x) {
    const Tensor y = relu(l.bn1(l.conv1(x)));
    return relu(l.bn2(l.conv2(y)) + l.downsample(x));
  });
  check_layer(BasicBlock(8, 8, 1), {2, 8, 5, 4},
              [](BasicBlock& l, const Tensor& x) { return relu(l.bn2(l.conv2(relu(l.bn1(l.conv1(x))))) + x); });
}

TEST(Models, IdentityShortcutTakesEverySecondPixelAndPadsWithZeros) {
  BasicBlock block(2, 3, 2, Shortcut::identity);
  EXPECT_EQ(block.downsample.parameter_count(), 0);
  Tensor x = numbers({1, 2, 5, 4});
  x.set_requires_grad(true);
  const Tensor y = block.downsample(x);
  ASSERT_EQ(y.shape(), Shape({1, 3, 3, 2}));
  expect_same(y.slice(1, 0, 2), x.slice(2, 0, 5, 2).slice(3, 0, 4, 2), "pixels");
  expect_same(y.slice(1, 2, 3), zeros({1, 1, 3, 2}), "new channel");
  (y * numbers(y.shape())).sum().backward();
  Tensor expected = zeros(x.shape());
  expected.slice(2, 0, 5, 2).slice(3, 0, 4, 2).copy_(numbers(y.shape()).slice(1, 0, 2));
  expect_same(x.grad(), expected, "gradient");
}

TEST(Models, ResNetCifarLearns) {
  manual_seed(1);
  ResNetCifar net = resnet_cifar(8, {.classes = 2, .width = 8});
  const Tensor images = numbers({4, 3, 8, 8}), labels = from_values(std::vector<int64_t>{0, 1, 1, 0}, {4});
  double first = 0, last = 0;
  for (int step = 0; step < 10; ++step) {
    net.zero_grad();
    const Tensor loss = cross_entropy(net(images), labels);
    loss.backward();
    NoGrad no_grad;
    for (Tensor parameter : net.parameters()) parameter.add_(parameter.grad(), -0.1);
    (step == 0 ? first : last) = loss.item();
  }
  EXPECT_LT(last, 0.5 * first);
}

TEST(Models, BadDepths) {
  EXPECT_ERROR(resnet_cifar(18), ArgumentError,
               "resnet_cifar: depth is 18, expected 6 n + 2 with n >= 1: 8, 14, 20, ...");
  EXPECT_ERROR(resnet_cifar(2), ArgumentError,
               "resnet_cifar: depth is 2, expected 6 n + 2 with n >= 1: 8, 14, 20, ...");
  EXPECT_ERROR(plain_cifar(21), ArgumentError,
               "plain_cifar: depth is 21, expected 6 n + 2 with n >= 1: 8, 14, 20, ...");
  EXPECT_ERROR(BasicBlock(2, 3, 2, Shortcut::none), ArgumentError,
               "ResNet: the shortcut of a block is none, expected identity or projection");
  EXPECT_ERROR(BasicBlock(3, 2, 1, Shortcut::identity), ArgumentError,
               "ResNet: an identity shortcut leads from 3 channels to 2, expected as many or more");
  EXPECT_ERROR(ResNetCifar(0), ArgumentError, "ResNetCifar: blocks is 0, expected at least 1");
  EXPECT_ERROR(ResNetCifar(1, {.width = 0}), ArgumentError, "ResNetCifar: width is 0, expected at least 1");
}

}  // namespace
}  // namespace dnn::test
