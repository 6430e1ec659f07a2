// The networks for ImageNet as they are: names and shapes of their state dicts against torchvision's, which
// torchvision_states.py listed, and the numbers of parameters. No initial weights are drawn.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "dnn/init.h"
#include "dnn/models.h"

namespace dnn::test {
namespace {

// The lines after the name of the network.
std::vector<std::string> listed(const std::string& network) {
  std::ifstream file(DNN_TORCHVISION_STATES);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line) && line != network + ":";) {
  }
  for (std::string line; std::getline(file, line) && line.back() != ':';) lines.push_back(line);
  return lines;
}

// The same of a network: a line for each layer.
std::vector<std::string> lines_of(const Module& net) {
  std::vector<std::string> lines;
  std::string last;
  for (const auto& [name, tensor] : net.state_dict()) {
    const size_t dot = name.rfind('.');
    const std::string layer = name.substr(0, dot);
    if (layer != last) lines.push_back(layer);
    lines.back() += fmt::format(" {}{}", name.substr(dot + 1), tensor.shape().str());
    last = layer;
  }
  return lines;
}

void expect_torchvisions(const std::string& network, const Module& net, int64_t parameters) {
  EXPECT_EQ(net.parameter_count(), parameters);
  const std::vector<std::string> expected = listed(network), actual = lines_of(net);
  ASSERT_FALSE(expected.empty());
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_EQ(actual[i], expected[i]);
}

class FullSize : public ::testing::Test {
  NoInit no_init_;
};

TEST_F(FullSize, AlexNet2012) { EXPECT_EQ(alexnet2012().parameter_count(), 60965224); }
TEST_F(FullSize, AlexNet) { expect_torchvisions("alexnet", alexnet(), 61100840); }
TEST_F(FullSize, VGG11) { expect_torchvisions("vgg11", vgg11(), 132863336); }
TEST_F(FullSize, VGG16) { expect_torchvisions("vgg16", vgg16(), 138357544); }
TEST_F(FullSize, VGG16WithBatchNorm) { expect_torchvisions("vgg16_bn", vgg16({.batch_norm = true}), 138365992); }
TEST_F(FullSize, VGG19) { expect_torchvisions("vgg19", vgg19(), 143667240); }
TEST_F(FullSize, ResNet18) { expect_torchvisions("resnet18", resnet18(), 11689512); }
TEST_F(FullSize, ResNet34) { expect_torchvisions("resnet34", resnet34(), 21797672); }
TEST_F(FullSize, ResNet50) { expect_torchvisions("resnet50", resnet50(), 25557032); }
TEST_F(FullSize, ResNet101) { expect_torchvisions("resnet101", resnet101(), 44549160); }
TEST_F(FullSize, ResNet152) { expect_torchvisions("resnet152", resnet152(), 60192808); }

}  // namespace
}  // namespace dnn::test
