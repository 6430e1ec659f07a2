// Layers that run as one on the emulated GPU: the same numbers as one after the other, and apart as soon as somebody
// looks at what is in between.
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "dnn/dnn.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {
namespace {

using ::testing::FloatNear;
using ::testing::Pointwise;

const Device device = Device::cuda();

std::vector<float> values(const Tensor& t) {
  return t.detach().to(DType::float32).to(Device::cpu()).to_vector<float>();
}

// How many kernels with that in their names ran while `call` did its work.
int64_t runs_of(const std::string& part, const std::function<void()>& call) {
  synchronize(device);
  start_trace();
  call();
  synchronize(device);
  const std::vector<std::string> trace = take_trace();
  return std::count_if(trace.begin(), trace.end(),
                       [&](const std::string& name) { return name.find(part) != std::string::npos; });
}

class FusedLayers : public ::testing::Test {
 protected:
  FusedLayers() { set_order(Order::forward), manual_seed(5); }
  ~FusedLayers() override { set_order(Order::every); }
};

// The output and the gradient of every parameter and of the input.
std::vector<std::vector<float>> results_of(Layer& net, const Tensor& input, const std::function<Tensor(Tensor)>& run) {
  net.zero_grad();
  Tensor x = input.clone().set_requires_grad();
  const Tensor y = run(x);
  (y * y).sum().backward();
  std::vector<std::vector<float>> results{values(y), values(x.grad())};
  for (const Tensor& p : net.parameters()) results.push_back(values(p.grad()));
  return results;
}

void expect_near(const std::vector<std::vector<float>>& actual, const std::vector<std::vector<float>>& expected,
                 float bound) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_THAT(actual[i], Pointwise(FloatNear(bound), expected[i])) << i;
}

TEST_F(FusedLayers, ASmallConvolutionTakesThePoolingBehindIt) {
  const Tensor x = randn({2, 3, 8, 8}).to(device);
  for (const bool with_relu : {true, false}) {
    Sequential net(Conv2d(3, 4, {.kernel = 3, .padding = 1}));
    if (with_relu) net.append(ReLU());
    net.append(MaxPool2d({.kernel = 2}));
    net.to(device);
    const auto one_by_one = [&](Tensor t) {
      for (int64_t i = 0; i < net.size(); ++i) t = net[i](t);
      return t;
    };
    const auto all = [&](Tensor t) { return net(t); };
    const auto expected = results_of(net, x, one_by_one);
    expect_near(results_of(net, x, all), expected, 1e-4f);
    EXPECT_EQ(runs_of("conv_pool_forward", [&] { net(x); }), 1);
    EXPECT_EQ(runs_of("conv_pool", [&] { one_by_one(x); }), 0);
    {
      const NoGrad no_grad;
      EXPECT_EQ(runs_of("conv_pool_forward", [&] { net(x); }), 1);
    }
    for (int64_t i = 0; i < net.size(); ++i) {
      int64_t seen = 0;
      const int hook = net[i].register_forward_hook([&](const Layer&, const Tensor&, const Tensor&) { ++seen; });
      EXPECT_EQ(runs_of("conv_pool", [&] { net(x); }), 0) << "a hook on layer " << i;
      EXPECT_EQ(seen, 1);
      expect_near(results_of(net, x, all), expected, 1e-4f);
      net[i].remove_forward_hook(hook);
    }
  }
}

TEST_F(FusedLayers, AConvolutionBeforeABatchNormLeavesThePoolingAlone) {
  Sequential net(Conv2d(3, 4, {.kernel = 3}), BatchNorm2d(4), ReLU(), MaxPool2d({.kernel = 2}));
  net.to(device);
  const Tensor x = randn({4, 3, 10, 10}).to(device);
  net(x);  // statistics other than 0 and 1
  net.eval();
  const NoGrad no_grad;
  Tensor expected = x;
  for (int64_t i = 0; i < net.size(); ++i) expected = net[i](expected);
  Tensor y;
  EXPECT_EQ(runs_of("conv_pool", [&] { y = net(x); }), 0);
  EXPECT_THAT(values(y), Pointwise(FloatNear(1e-4f), values(expected)));
}

TEST_F(FusedLayers, ErrorsNameTheLayerThatThrows) {
  Sequential net(Conv2d(3, 4, {.kernel = 3}), ReLU(), MaxPool2d({.kernel = 2}));
  net.to(device);
  const auto message_of = [&](const Shape& shape) -> std::string {
    try {
      net(zeros(shape).to(device));
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing";
  };
  EXPECT_THAT(message_of({2, 4, 8, 8}), ::testing::HasSubstr("conv2d: input has 4 channels, weight expects 3"));
  EXPECT_THAT(message_of({2, 3, 3, 3}), ::testing::HasSubstr("max_pool2d: "));
}

TEST_F(FusedLayers, TheStemOfAResNetIsApartWhereAHookSitsOnItsNorm) {
  ResNet net = resnet18({.classes = 4, .width = 8});
  net.to(device);
  const Tensor x = randn({2, 3, 32, 32}).to(device);
  const auto all = [&](Tensor t) { return net(t); };
  const double before = net.bn1.num_batches_tracked.item();
  const auto together = results_of(net, x, all);
  EXPECT_EQ(net.bn1.num_batches_tracked.item(), before + 1);
  int64_t seen = 0;
  net.bn1.register_forward_hook([&](const Layer&, const Tensor&, const Tensor& y) {
    EXPECT_EQ(y.shape(), (Shape{2, 8, 16, 16}));
    ++seen;
  });
  expect_near(results_of(net, x, all), together, 1e-3f);
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(net.bn1.num_batches_tracked.item(), before + 2);
}

// ---- in 16 bits -----------------------------------------------------------------------------------------------------

TEST_F(FusedLayers, AutocastReachesTheConvolutionThatTakesThePooling) {
  Sequential net(Conv2d(3, 4, {.kernel = 3, .padding = 1}), ReLU(), MaxPool2d({.kernel = 2}),
                 Conv2d(4, 4, {.kernel = 3, .padding = 1}), ReLU(), MaxPool2d({.kernel = 2}));
  net.to(device);
  const Tensor x = randn({2, 3, 8, 8}).to(device);
  const Tensor exact = net(x);
  const Autocast autocast(DType::bfloat16);
  Tensor y;
  EXPECT_EQ(runs_of("conv_pool_forward", [&] { y = net(x); }), 2);
  EXPECT_EQ(y.dtype(), DType::bfloat16);
  EXPECT_THAT(values(y), Pointwise(FloatNear(0.05f), values(exact)));
  (y * y).sum().backward();
  for (const Tensor& p : net.parameters()) EXPECT_EQ(p.grad().dtype(), DType::bfloat16);
}

TEST_F(FusedLayers, AutocastWidensTheLogitsOfAClassificationLoss) {
  const Tensor logits = randn({6, 4}).to(device).to(DType::bfloat16);
  const Tensor labels = zeros({6}, {.dtype = DType::int64}).to(device);
  const Autocast autocast(DType::bfloat16);
  EXPECT_EQ(classification_loss(logits, labels).loss.dtype(), DType::float32);
}

// A bias whose gradient has become float32, since two were added once, gets the next one through the same layers.
TEST_F(FusedLayers, ABiasWithAGradientOfAnotherTypeTakesNoOffer) {
  Sequential net(Linear(6, 8), ReLU(), Linear(8, 4));
  net.to(device);
  const Tensor x = randn({5, 6}).to(device);
  const auto backward = [&](DType type) {
    const Autocast autocast(type);
    const Tensor y = net(x);
    (y * y).sum().backward();
  };
  backward(DType::float32);
  std::vector<std::vector<float>> expected;
  for (const Tensor& p : net.parameters()) expected.push_back(values(p.grad()));
  for (Tensor& p : net.parameters()) p.set_grad({});
  backward(DType::bfloat16), backward(DType::bfloat16);
  for (const Tensor& p : net.parameters()) EXPECT_EQ(p.grad().dtype(), DType::float32);
  net.zero_grad();
  backward(DType::bfloat16);
  const auto parameters = net.parameters();
  for (size_t i = 0; i < parameters.size(); ++i)
    EXPECT_THAT(values(parameters[i].grad()), Pointwise(FloatNear(0.3f), expected[i])) << i;
}

// ---- profiles -------------------------------------------------------------------------------------------------------

// Neither a question nor a kernel that refuses is work.
TEST_F(FusedLayers, AProfileCountsWorkAlone) {
  Sequential wide(Linear(6, 8), ReLU(), Linear(8, 4));
  wide.to(DType::float64), wide.to(device);
  const Tensor rows = randn({5, 6}, {.dtype = DType::float64}).to(device);
  BatchNorm2d norm(8);
  norm.to(device);
  const Tensor images = randn({2, 8, 6, 6}).to(device);
  Profiler profiler;
  {
    const auto running = profiler.start();
    wide(rows).sum().backward();
    norm.relu_max_pool(images, {.kernel = 3, .stride = 2, .padding = 1});
  }
  std::vector<std::string> names;
  int64_t flops = 0;
  for (const ProfiledOperation& o : profiler.operations()) names.push_back(o.name), flops += o.flops;
  EXPECT_THAT(names, ::testing::Not(::testing::Contains("batch_norm_pool_fits")));
  EXPECT_THAT(names, ::testing::Not(::testing::Contains("linear_relu"))) << "float64 has none";
  EXPECT_EQ(flops, 2 * 5 * (2 * 6 * 8 + 3 * 8 * 4)) << "each product once, and once or twice back";
}

}  // namespace
}  // namespace dnn::simt::test
