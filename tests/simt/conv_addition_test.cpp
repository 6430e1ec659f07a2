// Gradients that are added to others within the convolution.
#include <vector>

#include "tests/simt/conv_choice.h"

namespace dnn::simt::test {

using cuda::ConvGraph;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ConvAddition : public ConvChoice {
 protected:
  // The gradient of an image that two convolutions read, the second time into what the first left. Returns the plans
  // that ran on the way back.
  std::vector<int64_t> expect_sum(DType type = DType::float32, const Shape& input = {2, 8, 6, 6}) {
    manual_seed(5);
    const Tensor x = randn(input).to(type), w = randn({4, input[1], 3, 3}).to(type);
    const Tensor before = randn({input[1], input[1], 1, 1}).to(type) / 4;  // so that the image has cuDNN's layout
    const Tensor g = randn({input[0], 4, input[2] - 2, input[3] - 2}).to(type);
    const auto gradient = [&](Device device) {
      const Tensor leaf = x.to(device).clone().set_requires_grad(), image = conv2d(leaf, before.to(device));
      const Tensor sum = conv2d(image, w.to(device)) + conv2d(image, w.to(device));
      if (!device.is_cpu()) take_runs(), take_graphs();
      sum.backward(g.to(device));
      return leaf.grad().to(Device::cpu()).to(DType::float32).to_vector<float>();
    };
    const auto actual = gradient(Device::cuda());
    const auto runs = take_runs();
    const float tolerance = size_of(type) > 2 ? 1e-4f : 0.3f;
    EXPECT_THAT(actual, ::testing::Pointwise(::testing::FloatNear(tolerance), gradient(Device::cpu())));
    return runs;
  }
};

TEST_F(ConvAddition, IsPartOfTheConvolutionAndInPlace) {
  for (const DType type : {DType::float32, DType::bfloat16, DType::float16}) {
    cuda::forget_convs();
    EXPECT_THAT(expect_sum(type), ElementsAre(0, 0, 0, 0, 0, 0, 0))
        << "the first; timed, tried apart and in place, compared, run; the one before";
    const auto graphs = take_graphs();
    ASSERT_THAT(graphs, SizeIs(4)) << "the plain one, the one that adds, the plain one to compare with, the one before";
    EXPECT_TRUE(graphs[1].accumulates());
    EXPECT_EQ(graphs[1].add.strides, graphs[1].x.strides);
    EXPECT_THAT(expect_sum(type), ElementsAre(0, 0, 0));
  }
}

TEST_F(ConvAddition, IsNotAskedForWhereItCannotBe) {
  expect_sum(DType::float64);
  for (const ConvGraph& graph : take_graphs()) EXPECT_FALSE(graph.accumulates());
}

TEST_F(ConvAddition, APlanThatNeedsItsOperandsApartIsNotUsed) {
  set_stand_in({.adding_plans = {{.milliseconds = 1, .in_place = false}, {.milliseconds = 1e9}}});
  EXPECT_THAT(expect_sum(), ::testing::Contains(1)) << "slower than the convolution";
  EXPECT_THAT(expect_sum(), ElementsAre(0, 0, 0)) << "so it is composed";
  cuda::forget_convs();
  set_stand_in({.plans = {{.milliseconds = 5}}, .adding_plans = {{.in_place = false}, {.milliseconds = 2}}});
  expect_sum();
  EXPECT_THAT(expect_sum(), ElementsAre(0, 1, 0));
  cuda::forget_convs();
  set_stand_in({.adding_plans = {{.in_place = false}}});
  expect_sum();
  EXPECT_THAT(expect_sum(), ElementsAre(0, 0, 0)) << "composed";
}

TEST_F(ConvAddition, IsComposedWhenThatIsFasterOrNoPlanRuns) {
  for (const auto& plans : {std::vector<StandInPlan>{{.milliseconds = 1e9}}, {{.runs = false}}, {}}) {
    cuda::forget_convs();
    set_stand_in({.adding_plans = plans});
    expect_sum();
    const int64_t launches = launches_of([&] { expect_sum(); });
    EXPECT_THAT(take_graphs(), IsEmpty());
    set_stand_in({});
    cuda::forget_convs();
    expect_sum();
    EXPECT_EQ(launches_of([&] { expect_sum(); }), launches - 1) << "the addition";
  }
}

TEST_F(ConvAddition, ToAPlainGradientIsOneKernel) {
  // A leaf's own gradient is plain, the convolution's is not.
  Tensor x = gpu(randn({2, 8, 6, 6})).set_requires_grad();
  const Tensor w = gpu(randn({4, 8, 3, 3}));
  const auto step = [&] { conv2d(x, w).sum().backward(); };
  step(), step();
  const auto values = x.grad().to_vector<float>();
  const int64_t launches = launches_of(step);
  const auto more = x.grad().to_vector<float>();
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(more[i], 1.5f * values[i], 1e-3f);
  x.zero_grad();
  EXPECT_EQ(launches_of(step), launches) << "as many as without an addition";
}

TEST_F(ConvAddition, ToTheGradientOfAWeightIsOneKernel) {
  const Tensor x = gpu(randn({2, 8, 6, 6}));
  Tensor w = gpu(randn({4, 8, 3, 3})).set_requires_grad();
  const auto step = [&] { conv2d(x, w).sum().backward(); };
  step();
  const auto once = w.grad().to_vector<float>();
  step();
  const int64_t launches = launches_of(step);
  const auto thrice = w.grad().to_vector<float>();
  for (size_t i = 0; i < once.size(); ++i) EXPECT_NEAR(thrice[i], 3 * once[i], 1e-3f);
  w.zero_grad();
  EXPECT_EQ(launches_of(step), launches) << "as many as without an addition";
}

}  // namespace dnn::simt::test
