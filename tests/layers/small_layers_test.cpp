// Upsample, dropout of channels, and the layers that move elements, against the operations they stand for.
#include <gtest/gtest.h>

#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

TEST(SmallLayers, Upsample) {
  check_layer(Upsample({.scale = 2}), {2, 3, 4, 5},
              [](Upsample&, const Tensor& x) { return interpolate(x, {.scale = 2}); });
  const InterpolateOptions corners{.size = {7, 3}, .mode = Interpolation::bilinear, .align_corners = true};
  check_layer(Upsample(corners), {2, 3, 4, 5}, [&](Upsample&, const Tensor& x) { return interpolate(x, corners); });
  EXPECT_EQ(Upsample({.scale = {2, 1.5}}).str(), "Upsample(scale=2x1.5, mode=nearest)");
  EXPECT_EQ(Upsample(corners).str(), "Upsample(size=7x3, mode=bilinear, align_corners=true)");
  EXPECT_ERROR(Upsample({}), ArgumentError,
               "Upsample: size is 0 and scale 0, expected one of them positive, the other 0");
  EXPECT_ERROR(Upsample({.size = 3, .scale = 2}), ArgumentError,
               "Upsample: size is 3 and scale 2, expected one of them positive, the other 0");
  EXPECT_ERROR(Upsample({.scale = 2, .align_corners = true}), ArgumentError,
               "Upsample: align_corners is set, expected bilinear mode with it");
}

// In float32 the convolutions choose the layout of what lies between them; float64 has but one.
TEST(SmallLayers, UpsampleBetweenConvolutions) {
  manual_seed(5);
  Sequential net(Conv2d(3, 16, {.kernel = 3, .padding = 1}), Upsample({.scale = 2, .mode = Interpolation::bilinear}),
                 Conv2d(16, 16, {.kernel = 3}), Upsample({.size = 5}), Conv2d(16, 4, {.kernel = 1}));
  Sequential wide = net.clone();
  wide.to(DType::float64);
  const Tensor x = numbers({2, 3, 6, 7});
  const auto step = [](Sequential& l, const Tensor& input) {
    return run(l, input, [&](const Tensor& t) { return l(t); });
  };
  const auto actual = step(net, x), expected = step(wide, x.to(DType::float64));
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    expect_near(actual[i].to(DType::float64), expected[i], "result " + std::to_string(i), 2e-4);
}

TEST(SmallLayers, DropoutOfChannels) {
  check_layer(Dropout2d(0.4), {4, 5, 2, 3},
              [](Dropout2d& l, const Tensor& x) { return dropout2d(x, {.p = 0.4, .training = l.training()}); });
  check_layer(Dropout1d(0.4), {4, 5, 3},
              [](Dropout1d& l, const Tensor& x) { return dropout1d(x, {.p = 0.4, .training = l.training()}); });
  EXPECT_EQ(Dropout2d().str(), "Dropout2d(p=0.5)");
  EXPECT_EQ(Dropout1d(0.1).str(), "Dropout1d(p=0.1)");
  EXPECT_ERROR(Dropout2d(2), ArgumentError, "Dropout2d: p is 2, expected a probability in [0, 1]");
  EXPECT_ERROR(Dropout1d(-1), ArgumentError, "Dropout1d: p is -1, expected a probability in [0, 1]");
}

TEST(SmallLayers, UnflattenAndIdentity) {
  check_layer(Unflatten(1, {3, -1}), {2, 12, 5}, [](Unflatten&, const Tensor& x) { return x.reshape({2, 3, 4, 5}); });
  check_layer(Identity(), {2, 3}, [](Identity&, const Tensor& x) { return x; });
  EXPECT_EQ(Unflatten(-1, {2, 2})(numbers({3, 4})).shape(), Shape({3, 2, 2}));
  EXPECT_EQ(Unflatten(-1, {2, 2}).str(), "Unflatten(-1, [2, 2])");
  EXPECT_ERROR(Unflatten(1, {}), ArgumentError, "Unflatten: the sizes are [], expected sizes of at least 1, or one -1");
  EXPECT_ERROR(Unflatten(1, {0, 2}), ArgumentError,
               "Unflatten: the sizes are [0, 2], expected sizes of at least 1, or one -1");
  EXPECT_ERROR(Unflatten(2, {2, 2})(numbers({3, 4})), IndexError,
               "Unflatten: dimension 2 is out of range, expected -2 <= dimension < 2 (input [3, 4])");
}

TEST(SmallLayers, LogSoftmax) {
  check_layer(LogSoftmax(1), {2, 3, 4}, [](LogSoftmax&, const Tensor& x) { return log_softmax(x, 1); });
  EXPECT_EQ(LogSoftmax().str(), "LogSoftmax(dim=-1)");
}

TEST(SmallLayers, ZeroPad2d) {
  check_layer(ZeroPad2d(2), {2, 3, 4, 5}, [](ZeroPad2d&, const Tensor& x) { return pad(x, {2, 2, 2, 2}); });
  check_layer(ZeroPad2d({.left = 1, .bottom = 3}), {2, 3, 4, 5}, [](ZeroPad2d&, const Tensor& x) {
    return pad(x, {1, 0, 0, 3});
  });
  EXPECT_EQ(ZeroPad2d({.left = 1, .right = -2, .bottom = 3})(numbers({2, 3, 4, 5})).shape(), Shape({2, 3, 7, 4}));
  EXPECT_EQ(ZeroPad2d(2).str(), "ZeroPad2d(left=2, right=2, top=2, bottom=2)");
}

TEST(SmallLayers, EmbeddingLooksUpRowsAndLearnsThem) {
  Embedding words(5, 3, {.padding_idx = 0});
  EXPECT_EQ(values(words.weight[0]), std::vector<double>(3, 0.0));
  const Tensor index = from_values(std::vector<int64_t>{4, 0, 4, 2}, {2, 2});
  const Tensor y = words(index);
  expect_same(y, embedding(index, words.weight, {.padding_idx = 0}), "the operation");
  EXPECT_EQ(y.shape(), Shape({2, 2, 3}));
  y.sum().backward();
  EXPECT_EQ(values(words.weight.grad()), (std::vector<double>{0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 2, 2, 2}));
  const Embedding copy = words.clone();
  expect_same(copy.weight, words.weight, "a clone");
  EXPECT_FALSE(copy.weight.is_same(words.weight));
  EXPECT_EQ(words.str(), "Embedding(5, 3, padding_idx=0)");
  EXPECT_EQ(Embedding(5, 3).str(), "Embedding(5, 3)");
  EXPECT_EQ(words.named_parameters().size(), 1u);
}

TEST(SmallLayers, EmbeddingStandsInASummary) {
  Sequential net(Embedding(50, 8), GRU(8, 4, {.batch_first = true, .return_sequences = false}));
  const Summary result = summary(net, {6}, {.dtype = DType::int64});
  EXPECT_EQ(result.rows[0].output, Shape({1, 6, 8}));
  EXPECT_EQ(result.rows[0].parameters, 400);
  EXPECT_EQ(result.rows[1].output, Shape({1, 4}));
}

TEST(SmallLayers, EmbeddingRefusesBadSizesAndIndices) {
  EXPECT_ERROR(Embedding(0, 3), ArgumentError, "Embedding: rows is 0 and features is 3, expected both at least 1");
  EXPECT_ERROR(Embedding(4, 3, {.padding_idx = 4}), IndexError,
               "Embedding: padding_idx is 4, expected -4 <= padding_idx < 4");
  Embedding words(4, 3);
  EXPECT_ERROR(words(from_values(std::vector<int64_t>{-1}, {1})), IndexError,
               "embedding: index -1 at position 0, expected 0 <= index < 4");
}

}  // namespace
}  // namespace dnn::test
