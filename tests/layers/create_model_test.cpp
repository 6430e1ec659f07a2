// Networks by name.
#include <gmock/gmock.h>

#include "dnn/models.h"
#include "dnn/models/create.h"
#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

using ::testing::HasSubstr;

TEST(CreateModel, MakesEveryNetworkThatIsListed) {
  NoInit no_init;
  NoGrad no_grad;
  for (const ModelInfo& info : models()) {
    SCOPED_TRACE(info.name);
    const bool large = info.input[1] == 224;
    const std::unique_ptr<Layer> net = create_model(info.name, {.width = large ? 6 : 0});
    net->eval();
    EXPECT_EQ((*net)(zeros(info.input.with(0, 1))).shape(), Shape({1, info.classes}));
  }
}

TEST(CreateModel, MakesTheNetworkOfThatName) {
  EXPECT_EQ(create_model("lenet5")->parameter_count(), lenet5().parameter_count());
  EXPECT_EQ(create_model("mlp")->parameter_count(), mlp().parameter_count());
  EXPECT_EQ(create_model("resnet20")->parameter_count(), resnet_cifar(20).parameter_count());
  EXPECT_EQ(create_model("resnet8")->parameter_count(), resnet_cifar(8).parameter_count());
  EXPECT_EQ(create_model("resnet8")->type_name(), "ResNetCifar");
  EXPECT_EQ(create_model("plain8")->parameter_count(), plain_cifar(8).parameter_count());
  EXPECT_EQ(create_model("plain8")->str(), plain_cifar(8).str());
  const ModelOptions narrow{.width = 6};
  EXPECT_EQ(create_model("alexnet", narrow)->str(), alexnet({.width = 6}).str());
  EXPECT_EQ(create_model("alexnet2012", narrow)->str(), alexnet2012({.width = 6}).str());
  EXPECT_EQ(create_model("vgg11", narrow)->str(), vgg11({.width = 6}).str());
  EXPECT_EQ(create_model("vgg16", narrow)->str(), vgg16({.width = 6}).str());
  EXPECT_EQ(create_model("vgg19", narrow)->str(), vgg19({.width = 6}).str());
  EXPECT_EQ(create_model("resnet18", narrow)->str(), resnet18({.width = 6}).str());
  EXPECT_EQ(create_model("resnet34", narrow)->str(), resnet34({.width = 6}).str());
  EXPECT_EQ(create_model("resnet50", narrow)->str(), resnet50({.width = 6}).str());
  EXPECT_EQ(create_model("resnet101", narrow)->str(), resnet101({.width = 6}).str());
  EXPECT_EQ(create_model("resnet152", narrow)->str(), resnet152({.width = 6}).str());
}

TEST(CreateModel, PassesOptionsOn) {
  const ModelOptions all{.classes = 5, .channels = 2, .size = 20, .width = 12};
  for (const char* name : {"mlp", "hinton2006", "row_lstm", "lenet5", "ciresan2011", "resnet8"}) {
    SCOPED_TRACE(name);
    const std::unique_ptr<Layer> net = create_model(name, all);
    EXPECT_EQ((*net)(numbers({2, 2, 20, 20})).shape(), Shape({2, 5}));
    EXPECT_NE(net->parameter_count(), create_model(name, {.classes = 5, .channels = 2, .size = 20})->parameter_count());
  }
  EXPECT_EQ(create_model("mlp", all)->parameter_count(), 801 * 12 + 13 * 5);
  const std::unique_ptr<Layer> lenet = create_model("lenet1989", {.classes = 5, .channels = 2, .size = 16, .width = 6});
  EXPECT_EQ((*lenet)(numbers({2, 2, 16, 16})).shape(), Shape({2, 5}));
  EXPECT_EQ(create_model("ciresan2011_cifar", {.size = 40, .width = 3})->parameter_count(),
            ciresan2011_cifar({.size = 40, .width = 3}).parameter_count());
}

TEST(CreateModel, OfAnySizeWhereTheNetworkTakesAny) {
  EXPECT_EQ(create_model("resnet8", {.size = 99})->parameter_count(), create_model("resnet8")->parameter_count());
}

TEST(CreateModel, UnknownNamesListTheKnownOnes) {
  for (const char* name : {"", "lenet", "LeNet5", "resnet", "resnet20x", "resnet 20", "resnet99999999999999999999"}) {
    try {
      create_model(name);
      ADD_FAILURE() << name;
    } catch (const ArgumentError& error) {
      EXPECT_THAT(error.what(),
                  HasSubstr(std::string("create_model: there is no network '") + name + "', expected one of "));
      for (const ModelInfo& info : models()) EXPECT_THAT(error.what(), HasSubstr(info.name + ", "));
      EXPECT_THAT(error.what(), HasSubstr("resnetN (N = 6 n + 2: 8, 14, 20, ...)"));
    }
  }
}

TEST(CreateModel, Errors) {
  EXPECT_ERROR(create_model("resnet21"), ArgumentError,
               "resnet_cifar: depth is 21, expected 6 n + 2 with n >= 1: 8, 14, 20, ...");
  EXPECT_ERROR(create_model("resnet-10"), ArgumentError,
               "resnet_cifar: depth is -10, expected 6 n + 2 with n >= 1: 8, 14, 20, ...");
  EXPECT_ERROR(create_model("resnet6000000000002"), ArgumentError,
               "create_model: resnet6000000000002 has 6000000000002 layers, expected at most 10000");
  EXPECT_ERROR(create_model("mlp", {.channels = 1'000'001}), ArgumentError,
               "create_model: channels is 1000001, expected 1 to 1000000, or 0 for the network's own");
  EXPECT_ERROR(create_model("lenet1989", {.size = 28}), ArgumentError, "lenet1989: size is 28, expected 16");
  EXPECT_ERROR(create_model("lenet5", {.classes = -1}), ArgumentError,
               "create_model: classes is -1, expected 1 to 1000000, or 0 for the network's own");
  EXPECT_ERROR(create_model("lenet5", {.channels = -1}), ArgumentError,
               "create_model: channels is -1, expected 1 to 1000000, or 0 for the network's own");
  EXPECT_ERROR(create_model("lenet5", {.size = -3}), ArgumentError,
               "create_model: size is -3, expected 1 to 1000000, or 0 for the network's own");
  EXPECT_ERROR(create_model("lenet5", {.width = -6}), ArgumentError,
               "create_model: width is -6, expected 1 to 1000000, or 0 for the network's own");
}

}  // namespace
}  // namespace dnn::test
