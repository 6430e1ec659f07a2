// AlexNet, VGG and the ResNets for ImageNet, narrow: shapes, initial weights, blocks and errors. What they compute is
// compared with PyTorch in tests/torch, their names and sizes at full width in full_size_test.cpp.
#include <gtest/gtest.h>

#include <cmath>

#include "dnn/models.h"
#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

// Of all elements, which have a mean of about 0.
double deviation(const Tensor& t) { return std::sqrt((t * t).mean().item()); }

TEST(ImageNetModels, AlexNetTakesImagesOfAnySize) {
  AlexNet net = alexnet({.classes = 4, .channels = 1, .width = 2});
  EXPECT_EQ(net(numbers({2, 1, 63, 63})).shape(), Shape({2, 4}));
  EXPECT_EQ(net(numbers({1, 1, 224, 150})).shape(), Shape({1, 4}));
  EXPECT_EQ(alexnet({.width = 1}).classifier[1].str(), "Linear(144, 64)");
  EXPECT_EQ(alexnet({.width = 2, .dropout = 0.25}).classifier[3].str(), "Dropout(p=0.25)");
}

TEST(ImageNetModels, AlexNet2012) {
  Sequential net = alexnet2012({.classes = 4, .channels = 1, .size = 63, .width = 6});
  EXPECT_EQ(net(numbers({2, 1, 63, 63})).shape(), Shape({2, 4}));
  EXPECT_EQ(net.at("conv1").str(), "Conv2d(1, 6, kernel=11, stride=4, padding=2)");
  EXPECT_EQ(net.at("norm2").str(), "LocalResponseNorm(5, alpha=0.0005, beta=0.75, k=2)");
  EXPECT_EQ(net.at("conv5").str(), "Conv2d(24, 16, kernel=3, padding=1, groups=2)");
  EXPECT_EQ(net.at("fc6").str(), "Linear(16, 256)");
  Sequential larger = alexnet2012({.width = 12});
  EXPECT_EQ(larger.at("fc6").str(), "Linear(1152, 512)");
  EXPECT_EQ(larger(numbers({1, 3, 224, 224})).shape(), Shape({1, 1000}));
  EXPECT_EQ(larger(numbers({1, 3, 227, 227})).shape(), Shape({1, 1000}));
}

TEST(ImageNetModels, AlexNet2012StartsAsThePaperSays) {
  manual_seed(3);
  const StateDict state = alexnet2012({.classes = 20, .size = 63, .width = 24}).state_dict();
  for (const auto& [name, tensor] : state) {
    SCOPED_TRACE(name);
    if (name.ends_with("weight")) {
      EXPECT_NEAR(deviation(tensor), 0.02, 0.0008);  // 0.01 at four times the width
      continue;
    }
    const bool one = name != "conv1.bias" && name != "conv3.bias" && name != "fc8.bias";
    expect_same(tensor, full(tensor.shape(), one ? 1 : 0), "biases");
  }
  const StateDict own = alexnet2012({.size = 63, .width = 24, .gaussian = false}).state_dict();
  EXPECT_NEAR(deviation(own.at("conv2.weight")), 1 / std::sqrt(3 * 12 * 25.0), 0.001);
}

TEST(ImageNetModels, VGG) {
  VGG net = vgg11({.classes = 4, .channels = 1, .width = 2});
  EXPECT_EQ(net(numbers({2, 1, 32, 32})).shape(), Shape({2, 4}));
  EXPECT_EQ(net(numbers({1, 1, 75, 40})).shape(), Shape({1, 4}));
  EXPECT_EQ(vgg19({.width = 1, .dropout = 0.25}).classifier[5].str(), "Dropout(p=0.25)");
  EXPECT_EQ(VGG({1, 1, 1, 1, 1}, {.width = 1, .batch_norm = true}).features[1].str(), "BatchNorm2d(1)");
}

TEST(ImageNetModels, VGGStartsAsTorchvisions) {
  manual_seed(3);
  const StateDict state = vgg11({.classes = 20, .width = 8}).state_dict();
  for (const auto& [name, tensor] : state) {
    SCOPED_TRACE(name);
    if (name.ends_with("bias"))
      expect_same(tensor, zeros(tensor.shape()), "biases");
    else if (name.starts_with("features"))
      EXPECT_NEAR(deviation(tensor) / std::sqrt(2.0 / static_cast<double>(tensor.size(0) * 9)), 1, 0.15);
    else
      EXPECT_NEAR(deviation(tensor), 0.01, 0.0004);
  }
}

TEST(ImageNetModels, ResNet) {
  ResNet basic = resnet18({.classes = 4, .channels = 1, .width = 2});
  EXPECT_EQ(basic(numbers({2, 1, 64, 40})).shape(), Shape({2, 4}));
  ResNet deep = ResNet(ResNetBlock::bottleneck, {1, 1, 2, 1}, {.classes = 4, .width = 2});
  EXPECT_EQ(deep(numbers({2, 3, 33, 33})).shape(), Shape({2, 4}));
  EXPECT_EQ(deep.layer4[0].children()[4].module->str(), "Conv2d(16, 64, kernel=1, bias=false)");
  EXPECT_EQ(deep.fc.str(), "Linear(64, 4)");
}

TEST(ImageNetModels, ResNetStartsAsTorchvisions) {
  manual_seed(3);
  const StateDict state = resnet18({.width = 16}).state_dict();
  for (const auto& [name, tensor] : state) {
    if (tensor.rank() != 4) continue;
    const double fan = static_cast<double>(tensor.size(0) * tensor.size(2) * tensor.size(3));
    EXPECT_NEAR(deviation(tensor) / std::sqrt(2 / fan), 1, 0.1) << name;
  }
  EXPECT_NEAR(deviation(state.at("fc.weight")), 1 / std::sqrt(3 * 128.0), 0.002);
}

TEST(ImageNetModels, Bottleneck) {
  const auto in_parts = [](Bottleneck& l, const Tensor& x) {
    const Tensor y = relu(l.bn2(l.conv2(relu(l.bn1(l.conv1(x))))));
    return relu(l.bn3(l.conv3(y)) + l.downsample(x));
  };
  check_layer(Bottleneck(8, 4, 2), {2, 8, 6, 6}, in_parts);
  check_layer(Bottleneck(16, 4, 1), {2, 16, 5, 4}, in_parts);
  check_layer(Bottleneck(8, 4, 2, Shortcut::identity), {2, 8, 6, 6}, in_parts);
  EXPECT_TRUE(Bottleneck(16, 4, 1).downsample.empty());
  EXPECT_EQ(Bottleneck(16, 4, 2).conv2.str(), "Conv2d(4, 4, kernel=3, stride=2, padding=1, bias=false)");
}

TEST(ImageNetModels, Errors) {
  EXPECT_ERROR(alexnet({.width = 0}), ArgumentError, "alexnet: width is 0, expected at least 1");
  EXPECT_ERROR(alexnet({.classes = 0, .width = 1}), ArgumentError,
               "Linear: in is 64 and out is 0, expected both at least 1");
  EXPECT_ERROR(alexnet({.channels = 0}), ArgumentError, "Conv2d: in is 0 and out is 64, expected both at least 1");
  EXPECT_ERROR(alexnet({.dropout = 2}), ArgumentError, "Dropout: p is 2, expected a probability in [0, 1]");
  EXPECT_ERROR(alexnet2012({.width = 9}), ArgumentError, "alexnet2012: width is 9, expected a multiple of 6");
  EXPECT_ERROR(alexnet2012({.width = 0}), ArgumentError, "alexnet2012: width is 0, expected a multiple of 6");
  EXPECT_ERROR(alexnet2012({.size = 62}), ArgumentError, "alexnet2012: size is 62, expected at least 63");
  EXPECT_ERROR(alexnet2012({.classes = 0, .size = 63, .width = 6}), ArgumentError,
               "Linear: in is 256 and out is 0, expected both at least 1");
  EXPECT_ERROR(vgg11({.width = -1}), ArgumentError, "vgg: width is -1, expected at least 1");
  EXPECT_ERROR(vgg11({.classes = 0, .width = 1}), ArgumentError,
               "Linear: in is 64 and out is 0, expected both at least 1");
  EXPECT_ERROR(VGG({1, 1, 0, 1, 1}, {.width = 1}), ArgumentError, "vgg: convolutions is 0, expected at least 1");
  EXPECT_ERROR(resnet18({.width = 0}), ArgumentError, "ResNet: width is 0, expected at least 1");
  EXPECT_ERROR(resnet18({.classes = 0, .width = 1}), ArgumentError,
               "Linear: in is 8 and out is 0, expected both at least 1");
  EXPECT_ERROR(ResNet(ResNetBlock::basic, {1, 1, 0, 1}, {.width = 1}), ArgumentError,
               "ResNet: blocks is 0, expected at least 1");
  EXPECT_ERROR(Bottleneck(8, 4, 1, Shortcut::none), ArgumentError,
               "ResNet: the shortcut of a block is none, expected identity or projection");
}

}  // namespace
}  // namespace dnn::test
