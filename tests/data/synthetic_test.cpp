// Synthetic digits: the same every time, different from each other, formed like those of MNIST.
#include "dnn/data/synthetic.h"

#include <cmath>
#include <numeric>
#include <set>

#include "tests/data/support.h"

namespace dnn::test {
namespace {

TEST(SyntheticDigits, DependOnSeedAndIndexAlone) {
  const SyntheticDigits few(20, 3), many(40, 3), others(20, 4);
  EXPECT_EQ(few.images().to_vector<uint8_t>(), many.images().slice(0, 0, 20).to_vector<uint8_t>());
  EXPECT_EQ(few.labels().to_vector<int64_t>(), many.labels().slice(0, 0, 20).to_vector<int64_t>());
  EXPECT_NE(few.images().to_vector<uint8_t>(), others.images().to_vector<uint8_t>());
}

TEST(SyntheticDigits, AreFormedLikeThoseOfMnist) {
  constexpr int64_t count = 500;
  const SyntheticDigits digits(count, 1);
  EXPECT_EQ(digits.name(), "synthetic digits");
  EXPECT_EQ(digits.size(), count);
  EXPECT_EQ(digits.images().shape(), (Shape{count, 1, 28, 28}));
  EXPECT_EQ(digits.class_names().size(), 10);
  const auto pixels = digits.images().to_vector<uint8_t>();
  std::set<std::vector<uint8_t>> images;
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const std::vector<uint8_t> image(pixels.begin() + i * 784, pixels.begin() + (i + 1) * 784);
    images.insert(image);
    double ink = 0, x = 0, y = 0;
    for (int p = 0; p < 784; ++p) {
      ink += image[p], x += image[p] * (p % 28 + 0.5), y += image[p] * (p / 28 + 0.5);
    }
    EXPECT_NEAR(x / ink, 14, 1.2);
    EXPECT_NEAR(y / ink, 14, 1.2);
    sum += ink / 255;
  }
  EXPECT_EQ(images.size(), count);
  EXPECT_NEAR(sum / (count * 784), 0.13, 0.04);  // the mean pixel of MNIST is 0.1307
  std::array<int, 10> classes{};
  for (int64_t label : digits.labels().to_vector<int64_t>()) ++classes.at(static_cast<size_t>(label));
  for (int n : classes) EXPECT_NEAR(n, 50, 30);
}

// A digit looks more like the mean of its class than like any other mean, most often but not always.
TEST(SyntheticDigits, AreLearnableButNotTrivial) {
  const SyntheticDigits train(2000, 1), test(500, 2);
  std::array<std::vector<double>, 10> mean;
  mean.fill(std::vector<double>(784));
  std::array<int, 10> counts{};
  const auto each = [](const SyntheticDigits& digits, auto&& visit) {
    const uint8_t* pixels = digits.images().data<uint8_t>();
    for (int64_t i = 0; i < digits.size(); ++i) visit(pixels + i * 784, digits.labels().data<int64_t>()[i]);
  };
  each(train, [&](const uint8_t* image, int64_t label) {
    ++counts.at(label);
    for (int p = 0; p < 784; ++p) mean[label][p] += image[p];
  });
  for (int c = 0; c < 10; ++c) {
    for (double& value : mean[c]) value /= counts[c];
  }
  int right = 0;
  each(test, [&](const uint8_t* image, int64_t label) {
    std::array<double, 10> distance{};
    for (int c = 0; c < 10; ++c) {
      for (int p = 0; p < 784; ++p) distance[c] += std::pow(image[p] - mean[c][p], 2);
    }
    right += std::ranges::min_element(distance) - distance.begin() == label;
  });
  EXPECT_GT(right, 300);
  EXPECT_LT(right, 475);
}

TEST(SyntheticDigits, NormalizeLikeMnist) {
  const SyntheticDigits plain(3, 1), normalized(3, 1, {.normalize = true});
  const auto a = plain.get(0).input.to_vector<float>(), b = normalized.get(0).input.to_vector<float>();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(b[i], (a[i] - 0.1307f) / 0.3081f);
}

TEST(SyntheticDigits, CountsMayBeZeroButNotNegative) {
  EXPECT_EQ(SyntheticDigits(0).size(), 0);
  EXPECT_THAT([] { SyntheticDigits(-1); },
              ThrowsMessage<ArgumentError>(HasSubstr("SyntheticDigits: count is -1, expected 0 or more")));
}

}  // namespace
}  // namespace dnn::test
