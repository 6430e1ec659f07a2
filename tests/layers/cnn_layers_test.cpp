// The layers of convolutional nets beside Conv2d and BatchNorm2d, against the operations they stand for.
#include <gtest/gtest.h>

#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

// A layer whose parameters are not the first ones.
template <class L>
L disturbed(L layer) {
  disturb(layer);
  return layer;
}

TEST(CnnLayers, LayerNorm) {
  check_layer(disturbed(LayerNorm(5)), {4, 5},
              [](LayerNorm& l, const Tensor& x) { return layer_norm(x, {5}, l.weight, l.bias); });
  check_layer(disturbed(LayerNorm({3, 2, 2}, {.eps = 0.1, .bias = false})), {4, 3, 2, 2},
              [](LayerNorm& l, const Tensor& x) {
                return layer_norm(x, {3, 2, 2}, l.weight, {}, {.eps = 0.1});
              });
  check_layer(LayerNorm(5, {.elementwise_affine = false}), {4, 5},
              [](LayerNorm&, const Tensor& x) { return layer_norm(x, {5}); });
  EXPECT_EQ(LayerNorm(5).str(), "LayerNorm([5])");
  EXPECT_EQ(LayerNorm({2, 3}, {.eps = 0.1, .bias = false}).str(), "LayerNorm([2, 3], eps=0.1, bias=false)");
  EXPECT_EQ(LayerNorm(5, {.elementwise_affine = false}).str(), "LayerNorm([5], elementwise_affine=false)");
}

TEST(CnnLayers, GroupAndInstanceNorm) {
  check_layer(disturbed(GroupNorm(2, 6)), {3, 6, 2, 3},
              [](GroupNorm& l, const Tensor& x) { return group_norm(x, 2, l.weight, l.bias); });
  check_layer(GroupNorm(3, 6, {.affine = false}), {3, 6, 4},
              [](GroupNorm&, const Tensor& x) { return group_norm(x, 3); });
  check_layer(InstanceNorm2d(3), {2, 3, 4, 5}, [](InstanceNorm2d&, const Tensor& x) { return instance_norm(x); });
  check_layer(disturbed(InstanceNorm1d(3, {.eps = 0.2, .affine = true})), {2, 3, 5},
              [](InstanceNorm1d& l, const Tensor& x) { return instance_norm(x, l.weight, l.bias, {.eps = 0.2}); });
  EXPECT_EQ(GroupNorm(2, 6).str(), "GroupNorm(2, 6)");
  EXPECT_EQ(GroupNorm(2, 6, {.eps = 0.1, .affine = false}).str(), "GroupNorm(2, 6, eps=0.1, affine=false)");
  EXPECT_EQ(InstanceNorm2d(3).str(), "InstanceNorm2d(3)");
  EXPECT_EQ(InstanceNorm1d(3, {.eps = 0.2, .affine = true}).str(), "InstanceNorm1d(3, eps=0.2, affine=true)");
}

TEST(CnnLayers, ParametersOfNormsStayWide) {
  LayerNorm norm(4);
  norm.to(DType::bfloat16);
  EXPECT_EQ(norm.weight.dtype(), DType::float32);
  EXPECT_EQ(norm(numbers({2, 4}).to(DType::bfloat16)).dtype(), DType::bfloat16);
}

TEST(CnnLayers, LocalResponseNorm) {
  check_layer(
      LocalResponseNorm({.size = 5, .alpha = 0.5, .k = 2}), {2, 7, 3, 3},
      [](LocalResponseNorm&, const Tensor& x) { return local_response_norm(x, {.size = 5, .alpha = 0.5, .k = 2}); });
  EXPECT_EQ(LocalResponseNorm({.size = 5, .k = 2}).str(), "LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=2)");
}

TEST(CnnLayers, Pooling) {
  check_layer(AdaptiveAvgPool2d({3, 2}), {2, 3, 7, 4}, [](AdaptiveAvgPool2d&, const Tensor& x) {
    return adaptive_avg_pool2d(x, {3, 2});
  });
  check_layer(AdaptiveMaxPool2d(1), {2, 3, 7, 4},
              [](AdaptiveMaxPool2d&, const Tensor& x) { return adaptive_max_pool2d(x, 1); });
  check_layer(MaxPool1d({.kernel = 3, .stride = 2, .padding = 1}), {2, 3, 8},
              [](MaxPool1d&, const Tensor& x) { return max_pool1d(x, {.kernel = 3, .stride = 2, .padding = 1}); });
  check_layer(AvgPool1d({.kernel = 2}), {2, 3, 8},
              [](AvgPool1d&, const Tensor& x) { return avg_pool1d(x, {.kernel = 2}); });
  EXPECT_EQ(AdaptiveAvgPool2d({3, 2}).str(), "AdaptiveAvgPool2d(output=3x2)");
  EXPECT_EQ(AdaptiveMaxPool2d(1).str(), "AdaptiveMaxPool2d(output=1)");
  EXPECT_EQ(MaxPool1d({.kernel = 3, .stride = 2, .padding = 1}).str(), "MaxPool1d(kernel=3, stride=2, padding=1)");
  EXPECT_EQ(AvgPool1d({.kernel = 2, .count_include_pad = false}).str(), "AvgPool1d(kernel=2, count_include_pad=false)");
}

TEST(CnnLayers, Conv1d) {
  check_layer(Conv1d(2, 4, {.kernel = 3}), {2, 2, 7},
              [](Conv1d& l, const Tensor& x) { return conv1d(x, l.weight, l.bias); });
  check_layer(Conv1d(4, 6, {.kernel = 3, .stride = 2, .padding = 1, .dilation = 2, .groups = 2, .bias = false}),
              {2, 4, 9}, [](Conv1d& l, const Tensor& x) {
                return conv1d(x, l.weight, {}, {.stride = 2, .padding = 1, .dilation = 2, .groups = 2});
              });
  EXPECT_EQ(Conv1d(4, 6, {.kernel = 3, .padding = 1, .bias = false}).str(),
            "Conv1d(4, 6, kernel=3, padding=1, bias=false)");
}

TEST(CnnLayers, ConvTranspose2d) {
  check_layer(ConvTranspose2d(3, 4, {.kernel = 3}), {2, 3, 4, 5},
              [](ConvTranspose2d& l, const Tensor& x) { return conv_transpose2d(x, l.weight, l.bias); });
  check_layer(ConvTranspose2d(4, 2,
                              {.kernel = {3, 4},
                               .stride = 2,
                               .padding = 1,
                               .output_padding = {1, 0},
                               .dilation = {1, 2},
                               .groups = 2,
                               .bias = false}),
              {2, 4, 3, 3}, [](ConvTranspose2d& l, const Tensor& x) {
                return conv_transpose2d(
                    x, l.weight, {},
                    {.stride = 2, .padding = 1, .output_padding = {1, 0}, .dilation = {1, 2}, .groups = 2});
              });
  EXPECT_EQ(ConvTranspose2d(4, 2, {.kernel = 4, .stride = 2, .padding = 1}).str(),
            "ConvTranspose2d(4, 2, kernel=4, stride=2, padding=1)");
  EXPECT_EQ(ConvTranspose2d(4, 2, {.kernel = 3, .stride = 2, .output_padding = 1}).str(),
            "ConvTranspose2d(4, 2, kernel=3, stride=2, output_padding=1)");
}

TEST(CnnLayers, PixelShuffle) {
  check_layer(PixelShuffle(2), {2, 12, 3, 2}, [](PixelShuffle&, const Tensor& x) { return pixel_shuffle(x, 2); });
  EXPECT_EQ(PixelShuffle(2).str(), "PixelShuffle(2)");
}

// In float32 the convolutions choose the layout of what lies between them; float64 has but one.
TEST(CnnLayers, WorkBetweenConvolutions) {
  manual_seed(5);
  Sequential net(Conv2d(3, 16, {.kernel = 3, .padding = 1}), ReLU(), LocalResponseNorm({.size = 5, .alpha = 1, .k = 2}),
                 MaxPool2d({.kernel = 2}), Conv2d(16, 32, {.kernel = 3, .padding = 1, .bias = false}), GroupNorm(4, 32),
                 ReLU(), ConvTranspose2d(32, 16, {.kernel = 4, .stride = 2, .padding = 1}), InstanceNorm2d(16),
                 Conv2d(16, 16, {.kernel = 1}), AdaptiveMaxPool2d({5, 6}), Conv2d(16, 16, {.kernel = 3}),
                 PixelShuffle(2), AdaptiveAvgPool2d(2), Conv2d(4, 16, {.kernel = 1}), AdaptiveAvgPool2d(1), Flatten(),
                 LayerNorm(16));
  Sequential wide = net.clone();
  wide.to(DType::float64);
  const Tensor x = numbers({2, 3, 12, 14});
  const auto step = [](Sequential& l, const Tensor& input) {
    return run(l, input, [&](const Tensor& t) { return l(t); });
  };
  const auto actual = step(net, x), expected = step(wide, x.to(DType::float64));
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    expect_near(actual[i].to(DType::float64), expected[i], "result " + std::to_string(i), 2e-4);
}

TEST(CnnLayers, RefuseBadOptions) {
  EXPECT_ERROR(LayerNorm(0), ArgumentError, "LayerNorm: the normalized shape is [0], expected sizes of at least 1");
  EXPECT_ERROR(LayerNorm(Shape{}), ArgumentError,
               "LayerNorm: the normalized shape is [], expected sizes of at least 1");
  EXPECT_ERROR(LayerNorm(3, {.eps = 0}), ArgumentError, "LayerNorm: eps is 0, expected a positive number");
  EXPECT_ERROR(GroupNorm(3, 4), ArgumentError, "GroupNorm: groups is 3, expected a divisor of the 4 channels");
  EXPECT_ERROR(GroupNorm(0, 4), ArgumentError, "GroupNorm: groups is 0, expected a divisor of the 4 channels");
  EXPECT_ERROR(GroupNorm(1, 0), ArgumentError, "GroupNorm: channels is 0, expected at least 1");
  EXPECT_ERROR(InstanceNorm2d(0), ArgumentError, "InstanceNorm2d: channels is 0, expected at least 1");
  EXPECT_ERROR(LocalResponseNorm({}), ArgumentError, "LocalResponseNorm: size is 0, expected at least 1");
  EXPECT_ERROR(Conv1d(2, 4, {}), ArgumentError, "Conv1d: kernel is 0, expected at least 1");
  EXPECT_ERROR(ConvTranspose2d(2, 4, {.kernel = 3, .groups = 4}), ArgumentError,
               "ConvTranspose2d: groups is 4, expected a divisor of both channel counts (in 2, out 4)");
  EXPECT_ERROR(ConvTranspose2d(2, 4, {.kernel = 3, .stride = 2, .output_padding = 2}), ArgumentError,
               "ConvTranspose2d: output_padding is 2, expected at least 0 and less than the stride 2");
}

TEST(CnnLayers, RefuseBadInputs) {
  EXPECT_ERROR(InstanceNorm2d(3)(numbers({2, 3, 4})), ShapeError,
               "InstanceNorm2d: input is [2, 3, 4], expected [n, 3, h, w]");
  EXPECT_ERROR(InstanceNorm1d(3)(numbers({2, 4, 4})), ShapeError,
               "InstanceNorm1d: input is [2, 4, 4], expected [n, 3, length]");
}

}  // namespace
}  // namespace dnn::test
