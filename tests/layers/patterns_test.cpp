// Parameters by patterns of names: freezing and groups.
#include <gtest/gtest.h>

#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

std::vector<std::string> names(const StateDict& state) {
  std::vector<std::string> result;
  for (const auto& entry : state) result.push_back(entry.name);
  return result;
}

using Names = std::vector<std::string>;

// A net whose head shares the weight of its first layer.
class Tied : public Layer {
 public:
  Sequential features{Linear(3, 3), ReLU(), Linear(3, 3)};
  Linear head{3, 3, {.bias = false}};
  DNN_MODULE(features, head)
  Tied() { head.weight = static_cast<Linear&>(features[0]).weight; }
  Tensor forward(Tensor x) override { return head(features(x)); }
};

TEST(Patterns, SelectParameters) {
  const Tied net;
  EXPECT_EQ(names(net.named_parameters("features.*")),
            Names({"features.0.weight", "features.0.bias", "features.2.weight", "features.2.bias"}));
  EXPECT_EQ(names(net.named_parameters("*.bias")), Names({"features.0.bias", "features.2.bias"}));
  EXPECT_EQ(names(net.named_parameters("features.[12].*")), Names({"features.2.weight", "features.2.bias"}));
  EXPECT_EQ(names(net.named_parameters("features.?.bias")), Names({"features.0.bias", "features.2.bias"}));
  EXPECT_EQ(names(net.named_parameters("head.weight")), Names({"head.weight"})) << "any name of a shared tensor";
  EXPECT_EQ(net.named_parameters("*").size(), 4u) << "shared ones once";
  EXPECT_EQ(net.parameters("*.bias").size(), 2u);
  EXPECT_TRUE(net.parameters("head.*")[0].is_same(net.parameters()[0]));
}

TEST(Patterns, Freeze) {
  Tied net;
  net.requires_grad_("features.*", false);
  EXPECT_EQ(net.parameter_count(true), 0) << "the head's weight is the first layer's";
  net.requires_grad_("*.bias");
  EXPECT_EQ(net.parameter_count(true), 6);
  net.requires_grad_(std::string("*"), true);
  EXPECT_EQ(net.parameter_count(true), net.parameter_count());
  net.requires_grad_(false);
  EXPECT_EQ(net.parameter_count(true), 0);
}

TEST(Patterns, RefuseToMatchNothing) {
  Tied net;
  const std::string rest =
      ", expected a parameter of Tied (features.0.weight, features.0.bias, features.2.weight, features.2.bias, "
      "head.weight)";
  EXPECT_ERROR(net.parameters("features"), ArgumentError, "parameters: the pattern 'features' matches nothing" + rest);
  EXPECT_ERROR(net.named_parameters(""), ArgumentError, "named_parameters: the pattern '' matches nothing" + rest);
  EXPECT_ERROR(net.requires_grad_("*.Bias", false), ArgumentError,
               "requires_grad_: the pattern '*.Bias' matches nothing" + rest);
  Sequential deep;
  for (int i = 0; i < 4; ++i) deep.append(Linear(1, 1));
  EXPECT_ERROR(deep.parameters("x"), ArgumentError,
               "parameters: the pattern 'x' matches nothing, expected a parameter of Sequential (0.weight, 0.bias, "
               "1.weight, 1.bias, 2.weight, 2.bias, ... 8 in all)");
  EXPECT_ERROR(ReLU().parameters("*"), ArgumentError,
               "parameters: the pattern '*' matches nothing, expected a parameter of ReLU ()");
}

}  // namespace
}  // namespace dnn::test
