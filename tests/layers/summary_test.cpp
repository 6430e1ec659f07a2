// The summary of a net.
#include "dnn/summary.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

Sequential small_net() {
  return Sequential(Conv2d(3, 8, {.kernel = 3, .padding = 1}), BatchNorm2d(8), ReLU(), MaxPool2d({.kernel = 2}),
                    Sequential(Flatten(), Linear(128, 10)));
}

TEST(Summary, CountsParametersAndMultiplications) {
  Sequential net = small_net();
  net.requires_grad_("0.*", false);
  const Summary result = summary(net, {3, 8, 8});
  ASSERT_EQ(result.rows.size(), 6u) << "the inner Sequential has no row";
  EXPECT_EQ(result.rows[0].path, "0");
  EXPECT_EQ(result.rows[0].type, "Conv2d");
  EXPECT_EQ(result.rows[0].output, Shape({1, 8, 8, 8})) << "seen, not fused away";
  EXPECT_EQ(result.rows[0].parameters, 8 * 27 + 8);
  EXPECT_EQ(result.rows[0].trainable, 0);
  EXPECT_EQ(result.rows[0].macs, 8 * 8 * 8 * 27);
  EXPECT_EQ(result.rows[2].output, Shape({1, 8, 8, 8}));
  EXPECT_EQ(result.rows[5].path, "4.1");
  EXPECT_EQ(result.rows[5].macs, 1280);
  EXPECT_EQ(result.macs, 8 * 8 * 8 * 27 + 1280);
  EXPECT_EQ(result.parameters, net.parameter_count());
  EXPECT_EQ(result.trainable, net.parameter_count(true));
  EXPECT_EQ(result.parameter_bytes, 4 * net.parameter_count());
}

TEST(Summary, IsATable) {
  Sequential net(Conv2d(3, 8, {.kernel = 3}), ReLU(), Flatten(), Linear(288, 1000));
  net.requires_grad_("0.*", false);
  std::ostringstream text;
  text << summary(net, {3, 8, 8});
  EXPECT_EQ(text.str(),
            "Sequential on [1, 3, 8, 8]\n"
            "-----------------------------------------------\n"
            "layer (type)  output        parameters     MACs\n"
            "-----------------------------------------------\n"
            "0 (Conv2d)    [1, 8, 6, 6]         224    7,776\n"
            "1 (ReLU)      [1, 8, 6, 6]           0        0\n"
            "2 (Flatten)   [1, 288]               0        0\n"
            "3 (Linear)    [1, 1000]        289,000  288,000\n"
            "-----------------------------------------------\n"
            "parameters: 289,224 (289,000 trainable, 224 frozen), 1.10 MiB\n"
            "MACs per sample: 295.78 thousand\n");
}

TEST(Summary, LeavesTheNetAsItWas) {
  Sequential net = small_net();
  net[1].eval();
  const StateDict before = net.state_dict().clone();
  summary(net, {3, 8, 8});
  EXPECT_TRUE(net.training());
  EXPECT_FALSE(net[1].training());
  EXPECT_TRUE(net[2].training());
  for (Layer& layer : net) EXPECT_FALSE(layer.has_forward_hooks());
  for (const auto& [name, tensor] : net.state_dict()) expect_same(tensor, before.at(name), name);
  EXPECT_ERROR(summary(net, {4, 8, 8}), ShapeError,
               "0 (Conv2d): conv2d: input has 4 channels, weight expects 3 (input [1, 4, 8, 8], weight [8, 3, 3, 3], "
               "groups 1)");
  EXPECT_TRUE(net.training());
  for (Layer& layer : net) EXPECT_FALSE(layer.has_forward_hooks());
}

// Uses one layer twice and another never.
class Recurring : public Layer {
 public:
  Linear twice{3, 3}, never{3, 3};
  Parameter scale{ones({3})};
  DNN_MODULE(twice, never, scale)
  Tensor forward(Tensor x) override { return twice(twice(x)) * scale; }
};

TEST(Summary, CountsCallsAndOwnParameters) {
  Recurring net;
  net.to(DType::float64);
  const Summary result = summary(net, {3});
  ASSERT_EQ(result.rows.size(), 3u);
  EXPECT_EQ(result.rows[0].path, "");
  EXPECT_EQ(result.rows[0].parameters, 3);
  EXPECT_EQ(result.rows[1].macs, 18);
  EXPECT_FALSE(result.rows[2].output.has_value());
  EXPECT_EQ(result.parameter_bytes, 8 * 27);
  EXPECT_NE(result.str().find("never (Linear)  not run"), std::string::npos) << result.str();
  EXPECT_NE(result.str().find("MACs per sample: 18\n"), std::string::npos);
}

TEST(Summary, KnowsEveryKindOfConvolution) {
  ConvTranspose2d up(4, 2, {.kernel = 4, .stride = 2, .padding = 1, .groups = 2});
  EXPECT_EQ(summary(up, {4, 5, 5}).macs, 4 * 25 * 16);
  Conv1d sequence(4, 6, {.kernel = 3, .groups = 2});
  EXPECT_EQ(summary(sequence, {4, 8}).macs, 6 * 6 * 2 * 3);
  Conv2d depthwise(4, 4, {.kernel = 3, .groups = 4});
  EXPECT_EQ(summary(depthwise, {4, 5, 5}).macs, 4 * 9 * 9);
}

}  // namespace
}  // namespace dnn::test
