// Sequential: what it holds, and that what it runs as one computes the same as its layers one by one.
#include <gtest/gtest.h>

#include <type_traits>

#include "core/node.h"
#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

Tensor one_by_one(Sequential& net, Tensor x) {
  for (int64_t i = 0; i < net.size(); ++i) x = net[i](x);
  return x;
}

// Linear and BatchNorm1d fuse with the ReLU behind them, Conv2d too; in evaluation Conv2d takes in its BatchNorm2d.
Sequential mixed_net() {
  manual_seed(11);
  Sequential net(Conv2d(2, 4, {.kernel = 3, .padding = 1, .bias = false}), BatchNorm2d(4), ReLU(),  //
                 Conv2d(4, 4, {.kernel = 3}), BatchNorm2d(4), Tanh(),                               //
                 Conv2d(4, 3, {.kernel = 1}), ReLU(), MaxPool2d({.kernel = 2}), Flatten(),          //
                 Linear(12, 6), ReLU(), Linear(6, 5), BatchNorm1d(5), ReLU(), ReLU());
  disturb(net);
  return net;
}

constexpr auto image = [] { return numbers({3, 2, 6, 6}); };

class Net : public Sequential {
 public:
  Net() : Sequential(Linear(2, 3), ReLU()) {}
};

static_assert(std::is_nothrow_move_constructible_v<Sequential>);
static_assert(!std::is_convertible_v<Linear, Sequential>, "one layer is not taken for a net by accident");
static_assert(!std::is_constructible_v<Sequential, Tensor>);

TEST(Sequential, HoldsLayersByValue) {
  Linear first(2, 3);
  const Tensor weight = first.weight;
  Sequential net(std::move(first), ReLU(), Sequential(Linear(3, 1)));
  EXPECT_EQ(net.size(), 3);
  EXPECT_TRUE(static_cast<Linear&>(net[0]).weight.is_same(weight));
  EXPECT_EQ(net[2].type_name(), "Sequential");
  net.push_back(Tanh());
  net.push_back(std::make_unique<Linear>(1, 2));
  std::vector<std::string> names;
  for (const auto& [name, tensor] : net.state_dict()) names.push_back(name);
  EXPECT_EQ(names, std::vector<std::string>({"0.weight", "0.bias", "2.0.weight", "2.0.bias", "4.weight", "4.bias"}));
  EXPECT_EQ(net(numbers({5, 2})).shape(), Shape({5, 2}));
}

TEST(Sequential, DoesNotHijackItsMove) {
  Sequential net(Linear(2, 3), ReLU());
  Sequential moved(std::move(net));
  EXPECT_EQ(moved.size(), 2) << "not a Sequential with a Sequential inside";
  Net derived;
  Net target(std::move(derived));
  EXPECT_EQ(target.size(), 2);
  Sequential base(std::move(target));
  EXPECT_EQ(base.size(), 2);
  moved = Sequential(Tanh());
  EXPECT_EQ(moved.size(), 1);
}

TEST(Sequential, WithoutLayersIsTheIdentity) {
  Sequential net;
  EXPECT_TRUE(net.empty());
  const Tensor x = numbers({2, 3});
  EXPECT_TRUE(net(x).is_same(x));
}

TEST(Sequential, ChainsCountsFromTheEndAndIterates) {
  Sequential net;
  net.append(Linear(2, 3)).append(ReLU()).append(Linear(3, 4));
  EXPECT_EQ(net.size(), 3);
  EXPECT_EQ(&net[-1], &net[2]);
  EXPECT_EQ(&net[-3], &net[0]);
  std::vector<std::string> types;
  for (Layer& layer : net) types.push_back(layer.type_name());
  for (const Layer& layer : std::as_const(net)) types.push_back(layer.type_name());
  EXPECT_EQ(types, std::vector<std::string>({"Linear", "ReLU", "Linear", "Linear", "ReLU", "Linear"}));
}

TEST(Sequential, NamesLayers) {
  Sequential net;
  net.append("fc", Linear(2, 3)).append(ReLU()).append("out", Linear(3, 1, {.bias = false}));
  EXPECT_EQ(net.state_dict().begin()->name, "fc.weight");
  EXPECT_TRUE(net.state_dict().contains("out.weight"));
  EXPECT_EQ(&net.at("fc"), &net[0]);
  EXPECT_EQ(&net.at("1"), &net[1]);
  EXPECT_EQ(net.clone().at("out").str(), "Linear(3, 1, bias=false)");
  EXPECT_TRUE(net.clone().state_dict().contains("fc.bias"));
  EXPECT_ERROR(net.at("head"), ArgumentError, "Sequential: there is no layer 'head'");
  EXPECT_ERROR(net.append("fc", ReLU()), ArgumentError,
               "Sequential: the name is 'fc', expected a new one without dots");
  EXPECT_ERROR(net.append("1", ReLU()), ArgumentError, "Sequential: the name is '1', expected a new one without dots");
  EXPECT_ERROR(net.append("a.b", ReLU()), ArgumentError,
               "Sequential: the name is 'a.b', expected a new one without dots");
  EXPECT_ERROR(net.append("", ReLU()), ArgumentError, "Sequential: the name is '', expected a new one without dots");
}

TEST(Sequential, RefusesBadIndicesAndLayers) {
  Sequential net{ReLU(), Tanh()};
  EXPECT_ERROR(net[2], IndexError, "Sequential: the index is 2, expected -2 <= index < 2");
  EXPECT_ERROR(net[-3], IndexError, "Sequential: the index is -3, expected -2 <= index < 2");
  EXPECT_ERROR(net.push_back(std::unique_ptr<Layer>()), ArgumentError,
               "Sequential: the layer is a null pointer, expected a layer");
}

TEST(Sequential, ErrorsNameTheLayerInFusedRunsToo) {
  Sequential net(Tanh(), Conv2d(2, 4, {.kernel = 3}), BatchNorm2d(4), ReLU());
  const char* text =
      "1 (Conv2d): conv2d: input has 5 channels, weight expects 2 (input [1, 5, 4, 4], weight [4, 2, 3, 3], groups 1)";
  EXPECT_ERROR(net(numbers({1, 5, 4, 4})), ShapeError, text);
  net.eval();
  NoGrad no_grad;
  EXPECT_ERROR(net(numbers({1, 5, 4, 4})), ShapeError, text);
  Sequential misfit(Conv2d(2, 4, {.kernel = 3}), BatchNorm2d(3));
  misfit.eval();
  EXPECT_ERROR(misfit(numbers({1, 2, 4, 4})), ShapeError,
               "1 (BatchNorm2d): batch_norm: weight has shape [3], expected [4] (input [1, 4, 2, 2])");
}

TEST(Sequential, FusionComputesTheSame) {
  for (const bool training : {true, false}) {
    SCOPED_TRACE(training ? "training" : "evaluation");
    Sequential fused = mixed_net(), plain = mixed_net();
    fused.train(training), plain.train(training);
    const auto actual = run(fused, image(), [&](const Tensor& x) { return fused(x); });
    const auto expected = run(plain, image(), [&](const Tensor& x) { return one_by_one(plain, x); });
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i) expect_near(actual[i], expected[i], std::to_string(i), 2e-5);
    const StateDict after = plain.state_dict();
    for (const auto& [name, tensor] : fused.state_dict()) expect_near(tensor, after.at(name), name);
  }
}

// Which layers a Sequential calls is seen from outside by the outputs that hooks get.
TEST(Sequential, HooksSwitchFusionOff) {
  Sequential net = mixed_net();
  net.eval();
  NoGrad no_grad;
  const Tensor expected = one_by_one(net, image());
  for (int64_t watched = 0; watched < net.size(); ++watched) {
    Tensor seen;
    const int id = net[watched].register_forward_hook([&](const Layer&, const Tensor&, const Tensor& y) { seen = y; });
    expect_near(net(image()), expected, "result", 2e-5);
    Tensor there = image();
    for (int64_t i = 0; i <= watched; ++i) there = net[i](there);
    ASSERT_TRUE(seen.defined()) << watched;
    expect_near(seen, there, "what the hook saw at " + std::to_string(watched), 2e-5);
    net[watched].remove_forward_hook(id);
  }
}

// A layer that counts how often it is called by itself.
class Counting : public FusableLayer {
 public:
  explicit Counting(std::vector<bool>& calls) : calls_(&calls) {}
  DNN_MODULE()
  Tensor forward_fused(Tensor x, const Epilogue& epilogue) override {
    calls_->push_back(epilogue.relu);
    return epilogue.relu ? relu(x) : x;
  }

 private:
  std::vector<bool>* calls_;
};

TEST(Sequential, FusesOnlyWithTheReluRightBehind) {
  std::vector<bool> calls;
  Sequential net{Counting(calls), ReLU(), Counting(calls), Tanh(), ReLU(), Counting(calls)};
  net(numbers({4}));
  EXPECT_EQ(calls, std::vector<bool>({true, false, false}));
  calls.clear();
  net[0].register_forward_hook([](const Layer&, const Tensor&, const Tensor&) {});
  net(numbers({4}));
  EXPECT_EQ(calls, std::vector<bool>({false, false, false})) << "somebody looks at the first one";
}

TEST(Sequential, FusesLinearWithTheTanhFormOfGelu) {
  const Tensor x = numbers({3, 4});
  const auto last_operation = [](const Tensor& y) { return std::string(detail::Access::impl(y).node->name); };
  Sequential net{Linear(4, 8), GELU(GeluForm::tanh)};
  EXPECT_EQ(last_operation(net(x)), "linear");
  Sequential plain = net.clone();
  const auto actual = run(net, x, [&](const Tensor& in) { return net(in); });
  const auto expected = run(plain, x, [&](const Tensor& in) { return one_by_one(plain, in); });
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) expect_near(actual[i], expected[i], std::to_string(i), 2e-5);
  EXPECT_EQ(last_operation(Sequential(Linear(4, 8), GELU())(x)), "gelu") << "the exact form is another function";
  net[0].register_forward_hook([](const Layer&, const Tensor&, const Tensor&) {});
  EXPECT_EQ(last_operation(net(x)), "gelu") << "somebody looks at the first one";
}

TEST(Epilogue, HasOneActivation) {
  EXPECT_EQ(Epilogue{}.activation(), Activation::none);
  EXPECT_EQ((Epilogue{.relu = true}.activation()), Activation::relu);
  EXPECT_EQ((Epilogue{.gelu_tanh = true}.activation()), Activation::gelu_tanh);
  EXPECT_ERROR((Epilogue{.relu = true, .gelu_tanh = true}.activation()), ArgumentError,
               "Epilogue: relu and gelu_tanh are both set, expected at most one");
}

// ---- folding -------------------------------------------------------------------------------------------------------

class Folding : public ::testing::Test {
 protected:
  void SetUp() override { net.eval(); }
  void expect_folded_is_plain(const std::string& what) {
    NoGrad no_grad;
    expect_near(net(x), one_by_one(net, x), what, 2e-5);
    expect_near(net(x), one_by_one(net, x), what + ", again", 2e-5);
  }
  Sequential net = mixed_net();
  Tensor x = image();
};

TEST_F(Folding, ComputesTheSame) { expect_folded_is_plain("folded"); }

TEST_F(Folding, FollowsEveryChange) {
  expect_folded_is_plain("before");
  for (auto [name, tensor] : net.state_dict()) {
    if (!is_floating(tensor.dtype())) continue;
    tensor.copy_(tensor * 0.9 + 0.05);
    expect_folded_is_plain(name);
  }
  Conv2d& conv = static_cast<Conv2d&>(net[3]);
  {
    NoGrad no_grad;
    conv.weight = Parameter(conv.weight * 2);
  }
  expect_folded_is_plain("a new weight");
  net.train();
  net(x);
  net.eval();
  expect_folded_is_plain("after training");
  net.to(DType::float64), x = x.to(DType::float64);
  expect_folded_is_plain("after a conversion");
}

TEST_F(Folding, IsOffWhileGradientsAreRecorded) {
  const Tensor y = net(x);
  y.sum().backward();
  EXPECT_TRUE(static_cast<Conv2d&>(net[0]).weight.has_grad());
  EXPECT_TRUE(static_cast<BatchNorm2d&>(net[1]).weight.has_grad());
}

TEST_F(Folding, IsOffInTraining) {
  net.train();
  NoGrad no_grad;
  const double before = static_cast<BatchNorm2d&>(net[1]).num_batches_tracked.item();
  net(x);
  EXPECT_EQ(static_cast<BatchNorm2d&>(net[1]).num_batches_tracked.item(), before + 1);
}

TEST_F(Folding, ClonesFoldForThemselves) {
  expect_folded_is_plain("before");
  Sequential copy = net.clone();
  disturb(copy);
  NoGrad no_grad;
  expect_near(copy(x), one_by_one(copy, x), "the clone", 2e-5);
  expect_folded_is_plain("the original");
}

}  // namespace
}  // namespace dnn::test
