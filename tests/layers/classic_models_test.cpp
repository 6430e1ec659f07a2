// The networks before AlexNet: sizes, names, errors, and what is special about each.
#include <gtest/gtest.h>

#include <cmath>

#include "dnn/models.h"
#include "dnn/summary.h"
#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

TEST(ClassicModels, Hinton2006HasThePapersSize) {
  EXPECT_EQ(hinton2006().parameter_count(), 1665010);
  Sequential net = hinton2006({.classes = 3, .inputs = 8, .width = 2});
  EXPECT_EQ(net(numbers({2, 2, 2, 2})).shape(), Shape({2, 3}));
  EXPECT_EQ(net[5].str(), "Linear(2, 8)");
  EXPECT_EQ(net[6].type_name(), "Sigmoid");
  EXPECT_ERROR(hinton2006({.width = 0}), ArgumentError, "hinton2006: width is 0, expected at least 1");
}

TEST(ClassicModels, LeNet1989HasThePapersSize) {
  LeNet1989 net = lenet1989();
  EXPECT_EQ(net.parameter_count(), 9760);
  EXPECT_EQ(net.h1.parameter_count() + net.h1_bias.numel(), 1068);
  EXPECT_EQ(net.h2.parameter_count() + net.h2_bias.numel(), 2592);
  EXPECT_EQ(net.h3.parameter_count(), 5790);
  EXPECT_EQ(net.output.parameter_count(), 310);
  EXPECT_EQ(summary(net, {1, 16, 16}).macs, 768 * 25 + 192 * 200 + 192 * 30 + 300);
  EXPECT_EQ(net(numbers({2, 1, 16, 16})).shape(), Shape({2, 10}));
  LeNet1989 wide = lenet1989({.classes = 4, .channels = 3, .width = 18});
  EXPECT_EQ(wide(numbers({2, 3, 16, 16})).shape(), Shape({2, 4}));
  EXPECT_EQ(wide.h3.str(), "Linear(288, 45)");
  EXPECT_ERROR(lenet1989({.width = 10}), ArgumentError, "lenet1989: width is 10, expected a multiple of 6");
  EXPECT_ERROR(wide(numbers({2, 3, 2, 2})), ShapeError,
               "lenet1989: input is [2, 3, 2, 2], expected [n, channels, 16, 16]");
  EXPECT_ERROR(wide(numbers({3, 16, 16})), ShapeError,
               "lenet1989: input is [3, 16, 16], expected [n, channels, 16, 16]");
}

TEST(ClassicModels, LeNet1989StartsAsThePaperSays) {
  LeNet1989 net = lenet1989();
  const std::pair<Tensor, double> weights[] = {
      {net.h1.weight, 25}, {net.h2.weight, 200}, {net.h3.weight, 192}, {net.output.weight, 30}};
  for (const auto& [weight, fan_in] : weights) {
    EXPECT_LE(abs(weight).max().item(), 2.4 / fan_in);
    EXPECT_GT(abs(weight).max().item(), 2.2 / fan_in);
  }
  for (const Tensor& bias : {Tensor(net.h1_bias), Tensor(net.h2_bias), Tensor(net.h3.bias), Tensor(net.output.bias)})
    EXPECT_EQ(abs(bias).max().item(), 0);
}

// Beyond the border lies the background: on an image of nothing else, and without weights of its neighbours, a unit at
// the border sees what one in the middle sees.
TEST(ClassicModels, LeNet1989SeesBackgroundBeyondTheBorder) {
  LeNet1989 net = lenet1989();
  NoGrad no_grad;
  Tensor seen;
  net.h1.register_forward_hook([&](const Layer&, const Tensor&, const Tensor& y) { seen = y; });
  net(full({1, 1, 16, 16}, -1));
  expect_near(seen, seen.slice(2, 4, 5).slice(3, 4, 5).expand(seen.shape()), "of H1");
  ASSERT_EQ(seen.shape(), Shape({1, 12, 8, 8}));
}

// The gradient of one map of H2 by the maps of H1 tells at which it looks.
TEST(ClassicModels, LeNet1989ConnectsThirdsOfItsMaps) {
  for (int64_t map = 0; map < 12; ++map) {
    LeNet1989 net = lenet1989();
    Tensor below;
    net.h1.register_forward_hook([&](const Layer&, const Tensor&, const Tensor& y) { below = y; });
    Tensor of_h2;
    net.h2.register_forward_hook([&](const Layer&, const Tensor&, const Tensor& y) { of_h2 = y; });
    net(numbers({1, 1, 16, 16}));
    of_h2.select(1, map).sum().backward();
    const int64_t third = map / 4, blind = third == 0 ? 2 : third == 1 ? 0 : 1;
    for (int64_t of_h1 = 0; of_h1 < 12; ++of_h1)
      EXPECT_EQ(abs(net.h1.weight.grad().select(0, of_h1)).max().item() == 0, of_h1 / 4 == blind)
          << map << " " << of_h1;
  }
}

TEST(ClassicModels, RowLstm) {
  EXPECT_EQ(row_lstm().parameter_count(), 4 * 128 * (28 + 128 + 2) + 1290);
  EXPECT_EQ(row_lstm()(numbers({2, 1, 28, 28})).shape(), Shape({2, 10}));
  Sequential net = row_lstm({.classes = 3, .channels = 2, .size = 5, .width = 4});
  EXPECT_EQ(net(numbers({2, 2, 7, 5})).shape(), Shape({2, 3}));
  EXPECT_EQ(summary(net, {2, 7, 5}).macs, 14 * 16 * 9 + 12);
  EXPECT_ERROR(row_lstm({.width = 0}), ArgumentError, "row_lstm: width is 0, expected at least 1");
  EXPECT_ERROR(row_lstm({.width = int64_t{1} << 62}), ArgumentError,
               "row_lstm: width is 4611686018427387904, expected at most 1000000");
  EXPECT_ERROR(row_lstm({.channels = 0}), ArgumentError, "row_lstm: channels is 0, expected at least 1");
}

TEST(ClassicModels, Ciresan2011) {
  EXPECT_EQ(ciresan2011().parameter_count(), 340 + 20040 + 54150 + 1510);
  for (const int64_t size : {28, 29}) {
    EXPECT_EQ(ciresan2011({.size = size}).parameter_count(), 76040);
    EXPECT_EQ(ciresan2011({.size = size})(numbers({2, 1, size, size})).shape(), Shape({2, 10}));
  }
  EXPECT_EQ(ciresan2011({.classes = 4, .channels = 3, .size = 12, .width = 2})(numbers({2, 3, 12, 12})).shape(),
            Shape({2, 4}));
  for (const int64_t width : {20, 80}) {
    const double bound = width == 20 ? 0.05 : 0.025;
    for (const Tensor& parameter : ciresan2011({.width = width}).parameters()) {
      EXPECT_LE(abs(parameter).max().item(), bound);
      EXPECT_GT(abs(parameter).max().item(), 0.6 * bound);
    }
  }
  EXPECT_ERROR(ciresan2011({.size = 11}), ArgumentError, "ciresan2011: size is 11, expected at least 12");
  EXPECT_ERROR(ciresan2011({.width = 3}), ArgumentError, "ciresan2011: width is 3, expected a multiple of 2");
}

TEST(ClassicModels, Ciresan2011ForCifar) {
  EXPECT_EQ(ciresan2011_cifar().parameter_count(), 1660710);
  Sequential net = ciresan2011_cifar({.classes = 4, .channels = 1, .size = 21, .width = 6});
  EXPECT_EQ(net(numbers({2, 1, 21, 21})).shape(), Shape({2, 4}));
  EXPECT_EQ(net[11].str(), "MaxPoolAll(2)");
  EXPECT_ERROR(ciresan2011_cifar({.size = 20}), ArgumentError, "ciresan2011_cifar: size is 20, expected at least 21");
  EXPECT_ERROR(ciresan2011_cifar({.width = 100}), ArgumentError,
               "ciresan2011_cifar: width is 100, expected a multiple of 3");
}

// Whole squares and those that the border cuts.
TEST(ClassicModels, CiresanPoolsWhatTheBorderCuts) {
  Sequential net = ciresan2011({.size = 12});
  Layer& pool = net[5];
  ASSERT_EQ(pool.str(), "MaxPoolAll(3)");
  Tensor x = from_values<float>({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, {1, 1, 4, 4});
  x.set_requires_grad(true);
  const Tensor y = pool(x);
  expect_same(y, from_values<float>({11, 12, 15, 16}, {1, 1, 2, 2}), "maxima");
  y.sum().backward();
  expect_same(x.grad(), from_values<float>({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1}, {1, 1, 4, 4}), "gradient");
}

// Loss on four images before and after plain gradient descent.
std::pair<double, double> losses(const std::string& name, const Shape& image, double lr, int steps) {
  manual_seed(1);
  const std::unique_ptr<Layer> net = create_model(name, {.classes = 2, .width = 12});
  const Tensor images = tanh(randn(image.with(0, 4))), labels = from_values(std::vector<int64_t>{0, 1, 1, 0}, {4});
  double first = 0, last = 0;
  for (int step = 0; step < steps; ++step) {
    net->zero_grad();
    const Tensor loss = cross_entropy((*net)(images), labels);
    loss.backward();
    NoGrad no_grad;
    for (Tensor parameter : net->parameters()) parameter.add_(parameter.grad(), -lr);
    (step == 0 ? first : last) = loss.item();
  }
  return {first, last};
}

TEST(ClassicModels, Learn) {
  const auto expect_less = [](const std::string& name, const Shape& image, double lr, int steps) {
    const auto [first, last] = losses(name, image, lr, steps);
    EXPECT_LT(last, 0.5 * first) << name;
  };
  expect_less("hinton2006", {1, 28, 28}, 1, 300);
  expect_less("lenet1989", {1, 16, 16}, 0.3, 30);
  expect_less("row_lstm", {1, 28, 28}, 0.5, 60);
  expect_less("ciresan2011", {1, 28, 28}, 0.3, 60);
  expect_less("ciresan2011_cifar", {3, 32, 32}, 0.1, 100);
}

TEST(ClassicModels, CanBeCloned) {
  for (const char* name : {"mlp", "hinton2006", "row_lstm", "lenet1989", "lenet5", "ciresan2011"}) {
    const std::unique_ptr<Layer> net = create_model(name, {.width = 12});
    net->eval();
    const std::unique_ptr<Module> copy = net->clone_unique();
    NoGrad no_grad;
    const int64_t size = std::string(name) == "lenet1989" ? 16 : 28;
    const Tensor x = numbers({2, 1, size, size});
    const Tensor y = (*net)(x);
    expect_same(static_cast<Layer&>(*copy)(x), y, name);
    for (const Tensor& parameter : net->parameters()) zeros_(parameter);
    expect_same(static_cast<Layer&>(*copy)(x), y, name);
  }
}

}  // namespace
}  // namespace dnn::test
