// Transforms of batches: mixing images and targets, and the loader's random choices for them.
#include "dnn/data/transforms/mix.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "data/transforms/random.h"
#include "dnn/ops/loss.h"
#include "tests/data/transforms_support.h"

namespace dnn::test {
namespace {

// Image i is i everywhere, of class i.
Batch batch_of(int64_t n, int64_t side = 8) {
  Tensor images = empty({n, 2, side, side});
  for (int64_t i = 0; i < n; ++i) images[i].fill_(static_cast<double>(i));
  return {images, arange(0, n)};
}

Batch mixed(const BatchTransform& transform, Batch batch, uint64_t seed = 0) {
  Generator generator(seed);
  transform(batch, generator);
  return batch;
}

// The mean of what the targets say, which for `batch_of` is the mean of the pixels.
double expected_pixel(const Tensor& target) {
  double sum = 0;
  const auto probabilities = values(target);
  for (size_t k = 0; k < probabilities.size(); ++k) sum += static_cast<double>(k) * probabilities[k];
  return sum;
}

TEST(Mixup, MixesImagesAndTargetsAlike) {
  std::set<float> shares;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Batch batch = mixed(Mixup(6), batch_of(6), seed);
    ASSERT_EQ(batch.target.shape(), (Shape{6, 6}));
    std::multiset<float> seen;
    for (int64_t i = 0; i < 6; ++i) {
      EXPECT_NEAR(batch.input[i].mean().item(), expected_pixel(batch.target[i]), 1e-5);
      EXPECT_NEAR(batch.target[i].sum().item(), 1, 1e-6);
      const float own = values(batch.target[i])[static_cast<size_t>(i)];
      if (own < 1) shares.insert(own);
    }
    // Every sample is somebody's partner once.
    const auto columns = values(batch.target);
    for (size_t k = 0; k < 6; ++k) {
      float column = 0;
      for (size_t i = 0; i < 6; ++i) column += columns[i * 6 + k];
      EXPECT_NEAR(column, 1, 1e-6);
    }
  }
  EXPECT_GT(shares.size(), 10u);
}

TEST(Mixup, LeavesTheBatchThatItWasGivenAlone) {
  const Batch before = batch_of(4);
  const Batch after = mixed(Mixup(4), before, 3);
  EXPECT_EQ(values(before.input), values(batch_of(4).input));
  EXPECT_FALSE(after.input.is_same(before.input));
}

TEST(Mixup, TakesProbabilitiesToo) {
  const Batch twice = mixed(CutMix(5), mixed(Mixup(5), batch_of(5), 1), 2);
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(twice.input[i].mean().item(), expected_pixel(twice.target[i]), 1e-5);
    EXPECT_NEAR(twice.target[i].sum().item(), 1, 1e-6);
  }
  const Batch same = mixed(Mixup(3, {.p = 0}), {zeros({2, 7}), from_values(std::vector<int32_t>{2, 0}, {2})});
  EXPECT_EQ(values(same.target), (std::vector<float>{0, 0, 1, 1, 0, 0}));
  EXPECT_TRUE(std::isfinite(cross_entropy(zeros({2, 3}), same.target).item()));
}

TEST(CutMix, ReplacesARectangle) {
  int cut = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Batch batch = mixed(CutMix(4), batch_of(4, 10), seed);
    for (int64_t i = 0; i < 4; ++i) {
      const auto pixels = values(batch.input[i]);
      const std::set<float> kinds(pixels.begin(), pixels.end());
      EXPECT_LE(kinds.size(), 2u);
      const auto own = static_cast<float>(std::ranges::count(pixels, static_cast<float>(i)));
      EXPECT_NEAR(values(batch.target[i])[static_cast<size_t>(i)], own / 200, 1e-6);
      EXPECT_NEAR(batch.target[i].sum().item(), 1, 1e-6);
      cut += kinds.size() == 2;
    }
  }
  EXPECT_GT(cut, 60);
}

TEST(Mix, RefusesWhatDoesNotFit) {
  const auto expect_error = [](const BatchTransform& transform, const Batch& batch, const std::string& text,
                               auto error) {
    using Error = decltype(error);
    EXPECT_THAT([&] { mixed(transform, batch); }, ThrowsMessage<Error>(text));
  };
  const Tensor images = zeros({2, 1, 3, 3}), labels = arange(0, 2);
  expect_error(Mixup(2), {images, {}}, "Mixup: input or target is undefined, expected a batch", ArgumentError(""));
  expect_error(CutMix(2), {zeros({2, 3}), labels}, "CutMix: input is [2, 3], expected [n, c, h, w]", ShapeError(""));
  expect_error(Mixup(2), {zeros({}), labels}, "Mixup: input is [], expected [n, ...]", ShapeError(""));
  expect_error(Mixup(2), {images.to(DType::uint8), labels},
               "Mixup: input is uint8, expected float32 (input [2, 1, 3, 3])", DTypeError(""));
  expect_error(Mixup(3), {images, zeros({2, 2})},
               "Mixup: expected targets [2, 3] (input [2, 1, 3, 3], target float32 [2, 2])", ShapeError(""));
  expect_error(CutMix(3), {images, arange(0, 3)}, "CutMix: expected targets [2] (input [2, 1, 3, 3], target int64 [3])",
               ShapeError(""));
  expect_error(Mixup(3), {images, labels.to(DType::uint8)},
               "Mixup: expected targets of int64, int32 or float32 (input [2, 1, 3, 3], target uint8 [2])",
               DTypeError(""));
  expect_error(Mixup(1), {images, labels}, "Mixup: label 1 of sample 1 is out of range (1 classes)", IndexError(""));
  EXPECT_THAT([] { Mixup(0); }, ThrowsMessage<ArgumentError>("Mixup: classes is 0, expected 1 or more"));
  EXPECT_THAT([] { CutMix(2, {.alpha = 0}); },
              ThrowsMessage<ArgumentError>("CutMix: alpha is 0, expected a positive number"));
  EXPECT_THAT([] { Mixup(2, {.p = -1}); }, ThrowsMessage<ArgumentError>("Mixup: p is -1, expected 0 to 1"));
}

TEST(Beta, HasItsMoments) {
  for (double alpha : {1e-3, 0.2, 0.7, 1.0, 1.5, 8.0}) {
    Generator generator(5);
    double sum = 0, squares = 0;
    constexpr int n = 20000;
    for (int i = 0; i < n; ++i) {
      const double x = detail::beta(generator, alpha);
      ASSERT_TRUE(0 <= x && x <= 1) << alpha;
      sum += x, squares += (x - 0.5) * (x - 0.5);
    }
    EXPECT_NEAR(sum / n, 0.5, 0.015) << alpha;
    EXPECT_NEAR(squares / n, 1 / (4 * (2 * alpha + 1)), 0.006) << alpha;
  }
}

TEST(BatchTransform, DependsOnSeedEpochAndBatchAlone) {
  const TensorDataset data(arange(0, 40, 1, {.dtype = DType::float32}).reshape({20, 2}), arange(0, 20));
  const auto run = [&](int threads, uint64_t seed, int64_t epoch, int64_t first) {
    std::vector<std::vector<float>> inputs;
    DataLoader loader(data, {.batch_size = 4, .seed = seed, .threads = threads, .batch_transforms = {Mixup(20)}});
    loader.set_epoch(epoch, first);
    for (const Batch& batch : loader) inputs.push_back(values(batch.input));
    return inputs;
  };
  const auto expected = run(0, 1, 0, 0);
  for (int threads : {1, 2, 4}) EXPECT_EQ(run(threads, 1, 0, 0), expected);
  EXPECT_NE(run(0, 2, 0, 0), expected);
  EXPECT_NE(run(0, 1, 1, 0), expected);
  EXPECT_EQ(run(2, 1, 0, 3), std::vector(expected.begin() + 3, expected.end()));
  EXPECT_NE(expected[0], expected[1]);
}

TEST(BatchTransform, MayThrowAndMayNotBeEmpty) {
  const Indices data(10);
  EXPECT_THAT([&] { DataLoader(data, {.batch_transforms = {BatchTransform()}}); },
              ThrowsMessage<ArgumentError>("DataLoader: a batch transform is an empty function"));
  for (int threads : {0, 1}) {
    DataLoader loader(data, {.batch_size = 5, .threads = threads, .batch_transforms = {Mixup(6)}});
    auto iterator = loader.begin();
    EXPECT_THAT([&] { ++iterator; },
                ThrowsMessage<IndexError>("Mixup: label 6 of sample 1 is out of range (6 classes)"));
  }
}

TEST(Pass, BatchesHaveGeneratorsOfTheirOwn) {
  std::set<uint64_t> seeds;
  for (uint64_t seed : {0, 1}) {
    for (int64_t epoch : {0, 1}) {
      for (int64_t number : {0, 1}) {
        const Pass pass{seed, epoch};
        seeds.insert(pass.generator(number).seed());
        seeds.insert(pass.batch_generator(number).seed());
        for (uint64_t which : {0, 1, 2}) seeds.insert(pass.nested(which).generator(number).seed());
      }
    }
  }
  EXPECT_EQ(seeds.size(), 40u);
}

}  // namespace
}  // namespace dnn::test
