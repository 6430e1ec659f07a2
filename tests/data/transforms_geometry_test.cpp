// Geometric transforms and combinations: small cases by hand, what chance draws, errors. The pixels are compared with
// torchvision's in tests/torch.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "dnn/ops/binary.h"
#include "tests/data/transforms_support.h"

namespace dnn::test {
namespace {

TEST(Resize, InterpolatesAndAverages) {
  EXPECT_EQ(values(apply(Resize({1, 4}), counted({1, 1, 2}))), (std::vector<float>{1, 1.25, 1.75, 2}));
  EXPECT_EQ(values(apply(Resize({1, 1}), counted({1, 2, 2}))), (std::vector<float>{2.5}));
  EXPECT_EQ(values(apply(Resize({1, 2}, {.nearest = true}), counted({1, 1, 4}))), (std::vector<float>{1, 3}));
  EXPECT_EQ(values(apply(Resize({1, 2}, {.antialias = false}), counted({1, 1, 6}))), (std::vector<float>{2, 5}));
  const Tensor image = random_image({3, 5, 7});
  EXPECT_EQ(values(apply(Resize({5, 7}), image)), values(image));
}

TEST(Resize, KeepsTheShape) {
  EXPECT_EQ(apply(Resize(4), zeros({3, 8, 15})).shape(), (Shape{3, 4, 7}));
  EXPECT_EQ(apply(Resize(4), zeros({3, 15, 8})).shape(), (Shape{3, 7, 4}));
  EXPECT_EQ(apply(Resize(4), zeros({1, 4, 4})).shape(), (Shape{1, 4, 4}));
  EXPECT_EQ(apply(Resize({4, 4}), zeros({3, 15, 8})).shape(), (Shape{3, 4, 4}));
}

TEST(Resize, RefusesWhatDoesNotFit) {
  expect_only_images(Resize(4), "Resize");
  EXPECT_THAT([] { Resize(0); }, ThrowsMessage<ArgumentError>("Resize: size is 0 x 0, expected 1 x 1 or more"));
  EXPECT_THAT([] { Resize({3, -1}); }, ThrowsMessage<ArgumentError>("Resize: size is 3 x -1, expected 1 x 1 or more"));
}

TEST(RandomResizedCrop, DrawsWindowsWithinItsBounds) {
  // Columns and rows count up: the corners of the result tell the window.
  const Tensor ramp = empty({2, 60, 80});
  for (int64_t y = 0; y < 60; ++y)
    for (int64_t x = 0; x < 80; ++x) {
      ramp[0][y][x].fill_(static_cast<double>(y));
      ramp[1][y][x].fill_(static_cast<double>(x));
    }
  const RandomResizedCrop transform(64, {.scale = {0.2, 0.6}, .ratio = {0.5, 1.5}, .resize = {.nearest = true}});
  std::set<float> tops;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Tensor result = apply(transform, ramp, seed);
    ASSERT_EQ(result.shape(), (Shape{2, 64, 64}));
    const auto pixels = values(result);
    const float h = pixels[4095] - pixels[0] + 1, w = pixels[8191] - pixels[4096] + 1;
    EXPECT_GT(h * w, 0.17f * 4800);
    EXPECT_LT(h * w, 0.63f * 4800);
    EXPECT_GT(w / h, 0.46f);
    EXPECT_LT(w / h, 1.58f);
    tops.insert(pixels[0]);
  }
  EXPECT_GT(tops.size(), 15u);
}

TEST(RandomResizedCrop, FallsBackToTheMiddle) {
  const RandomResizedCrop wide({1, 1}, {.scale = {1, 1}, .ratio = {4, 4}, .resize = {.nearest = true}});
  EXPECT_EQ(values(apply(wide, counted({1, 4, 4}))), (std::vector<float>{5}));  // the second of four rows
  const RandomResizedCrop tall({1, 1}, {.scale = {1, 1}, .ratio = {0.25, 0.25}, .resize = {.nearest = true}});
  EXPECT_EQ(values(apply(tall, counted({1, 4, 4}))), (std::vector<float>{2}));
  const RandomResizedCrop whole({2, 2}, {.scale = {1, 1}, .ratio = {1, 1}});
  EXPECT_EQ(values(apply(whole, counted({1, 2, 2}))), values(counted({1, 2, 2})));
  EXPECT_EQ(apply(RandomResizedCrop(3), counted({1, 1, 1})).shape(), (Shape{1, 3, 3}));
}

TEST(RandomResizedCrop, RefusesWhatDoesNotFit) {
  expect_only_images(RandomResizedCrop(4), "RandomResizedCrop");
  EXPECT_THAT([] { RandomResizedCrop(0); },
              ThrowsMessage<ArgumentError>("RandomResizedCrop: size is 0 x 0, expected 1 x 1 or more"));
  EXPECT_THAT(
      [] {
        RandomResizedCrop(4, {.scale = {0.5, 0.1}});
      },
      ThrowsMessage<ArgumentError>(HasSubstr("RandomResizedCrop: scale is 0.5 to 0.1, expected shares")));
  EXPECT_THAT(
      [] {
        RandomResizedCrop(4, {.ratio = {-1, 1}});
      },
      ThrowsMessage<ArgumentError>("RandomResizedCrop: ratio is -1 to 1, expected positive numbers"));
}

TEST(RandomAffine, MovesWholePixelsExactly) {
  const Tensor image = counted({1, 3, 3});
  EXPECT_EQ(values(apply(RandomAffine({}), image)), values(image));
  // A quarter of a turn, clockwise.
  const auto turned = values(apply(RandomAffine({.degrees = {90, 90}, .nearest = true}), image));
  EXPECT_EQ(turned, (std::vector<float>{7, 4, 1, 8, 5, 2, 9, 6, 3}));
  const auto half = values(apply(RandomAffine({.degrees = {180, 180}}), image));
  for (size_t i = 0; i < 9; ++i) EXPECT_NEAR(half[i], static_cast<float>(9 - i), 1e-5);
  const auto large = values(apply(RandomAffine({.scale = {3, 3}, .nearest = true}), image));
  EXPECT_EQ(large, std::vector<float>(9, 5));
}

TEST(RandomAffine, ShiftsWithinItsBounds) {
  const Tensor image = counted({1, 10, 10});
  const RandomAffine transform({.translate_x = 0.2, .translate_y = 0.1, .fill = {-1}});
  std::set<float> middles;
  for (uint64_t seed = 0; seed < 300; ++seed) middles.insert(values(apply(transform, image, seed))[55]);
  std::set<float> expected;
  for (int y : {-1, 0, 1})
    for (int x : {-2, -1, 0, 1, 2}) expected.insert(static_cast<float>(56 + 10 * y + x));
  EXPECT_EQ(middles, expected);
}

TEST(RandomAffine, FillsWhatLiesAround) {
  const Tensor image = ones({2, 4, 4});
  const Tensor result = apply(RandomAffine({.scale = {0.5, 0.5}, .fill = {7, 8}}), image);
  EXPECT_EQ(values(result).front(), 7);
  EXPECT_EQ(values(result).back(), 8);
  EXPECT_EQ(values(apply(RandomAffine({.scale = {1e-9, 1e-9}, .nearest = true}), image)).front(), 0);
  EXPECT_EQ(values(apply(RandomAffine({.scale = {1e-320, 1e-320}, .fill = {2}}), image)), std::vector<float>(32, 2));
  EXPECT_NE(values(apply(RandomRotation(30, {5}), image, 1)), values(image));
}

TEST(RandomAffine, RefusesWhatDoesNotFit) {
  expect_only_images(RandomAffine({}), "RandomAffine");
  const auto expect_error = [](const RandomAffineOptions& options, const std::string& text) {
    EXPECT_THAT([&] { RandomAffine{options}; }, ThrowsMessage<ArgumentError>("RandomAffine: " + text));
  };
  expect_error({.degrees = {1, 0}}, "degrees is 1 to 0, expected a range of angles");
  expect_error({.degrees = {0, INFINITY}}, "degrees is 0 to inf, expected a range of angles");
  expect_error({.translate_x = 2}, "translate_x is 2, translate_y 0, expected shares from 0 to 1");
  expect_error({.scale = {0, 1}}, "scale is 0 to 1, expected positive numbers");
  expect_error({.shear_x = {0, 90}}, "shear_x is 0 to 90, expected angles between -90 and 90 degrees");
  expect_error({.shear_y = {NAN, 9}}, "shear_y is nan to 9, expected angles between -90 and 90 degrees");
  EXPECT_THAT(
      [] {
        apply(RandomAffine({.fill = {1, 2}}), zeros({3, 4, 4}));
      },
      ThrowsMessage<ArgumentError>(HasSubstr("RandomAffine: fill has 2 values")));
  EXPECT_THAT([] { RandomRotation(-1); },
              ThrowsMessage<ArgumentError>("RandomRotation: degrees is -1, expected 0 or more"));
}

TEST(ElasticDistortion, BendsSmoothly) {
  // On a ramp the result tells where each pixel comes from.
  const Tensor ramp = arange(0, 40, 1, {.dtype = DType::float32}).reshape({1, 1, 40}).expand({1, 40, 40});
  const auto displacements = [&](const ElasticDistortionOptions& options) {
    const auto pixels = values(apply(ElasticDistortion(options), ramp, 4));
    std::vector<float> result;  // of the middle, which sees no border
    for (size_t y = 12; y < 28; ++y)
      for (size_t x = 12; x < 28; ++x) result.push_back(pixels[y * 40 + x] - static_cast<float>(x));
    return result;
  };
  const auto bent = displacements({});
  const auto [least, most] = std::ranges::minmax(bent);
  EXPECT_LT(least, -0.3f);
  EXPECT_GT(most, 0.3f);
  for (size_t i = 1; i < bent.size(); ++i) {
    const bool neighbours = i % 16 != 0;
    EXPECT_TRUE(!neighbours || std::abs(bent[i] - bent[i - 1]) < 1);
  }
  const auto twice = displacements({.alpha = 68});
  for (size_t i = 0; i < bent.size(); ++i) EXPECT_NEAR(twice[i], 2 * bent[i], 1e-3);
  for (float move : displacements({.alpha = 0})) EXPECT_EQ(move, 0);
  // Noise of deviation 1/sqrt(3), smoothed: its deviation becomes 1 / (2 sigma sqrt(pi)) of that.
  double squares = 0;
  int count = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const auto pixels = values(apply(ElasticDistortion({.alpha = 10, .sigma = 2}), ramp, seed));
    for (size_t y = 10; y < 30; y += 9)
      for (size_t x = 10; x < 30; x += 9, ++count) squares += std::pow(pixels[y * 40 + x] - static_cast<float>(x), 2);
  }
  EXPECT_NEAR(std::sqrt(squares / count), 10 / std::sqrt(3) / (4 * std::sqrt(3.14159)), 0.1);
}

TEST(ElasticDistortion, TakesAnySizeAndRefusesTheRest) {
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{3, 1, 9}, Shape{2, 9, 2}})
    EXPECT_EQ(apply(ElasticDistortion(), random_image(shape)).shape(), shape);
  expect_only_images(ElasticDistortion(), "ElasticDistortion");
  EXPECT_THAT([] { ElasticDistortion({.alpha = NAN}); },
              ThrowsMessage<ArgumentError>("ElasticDistortion: alpha is nan, expected a finite number"));
  EXPECT_THAT([] { ElasticDistortion({.sigma = 0}); },
              ThrowsMessage<ArgumentError>("ElasticDistortion: sigma is 0, expected 0 to 1000 pixels"));
  EXPECT_THAT(
      [] {
        apply(ElasticDistortion({.fill = {}}), zeros({3, 4, 4}));
      },
      ThrowsMessage<ArgumentError>(HasSubstr("ElasticDistortion: fill has 0 values")));
}

Transform add(float amount) {
  return [amount](Sample& sample, Generator&) { sample.input = sample.input + amount; };
}

TEST(Compose, IsOneAfterTheOther) {
  EXPECT_EQ(apply(Compose({add(1), add(10)}), zeros({1, 1, 1})).item(), 11);
  EXPECT_EQ(apply(Compose({}), ones({1, 1, 1})).item(), 1);
  EXPECT_THAT([] { Compose({Transform()}); },
              ThrowsMessage<ArgumentError>("Compose: a transform is an empty function"));
}

TEST(RandomApply, IsAllOrNothing) {
  int all = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const double sum = apply(RandomApply({add(1), add(10)}, 0.25), zeros({1, 1, 1}), seed).item();
    EXPECT_TRUE(sum == 0 || sum == 11);
    all += sum == 11;
  }
  EXPECT_NEAR(all, 100, 40);
  EXPECT_THAT([] { RandomApply({add(1)}, 2); }, ThrowsMessage<ArgumentError>("RandomApply: p is 2, expected 0 to 1"));
  EXPECT_THAT([] { RandomApply({Transform()}); },
              ThrowsMessage<ArgumentError>("RandomApply: a transform is an empty function"));
}

TEST(RandomChoice, TakesOneByItsWeight) {
  const auto counts = [](const RandomChoice& choice) {
    std::array<int, 3> result{};
    for (uint64_t seed = 0; seed < 600; ++seed)
      ++result.at(static_cast<size_t>(apply(choice, zeros({1, 1, 1}), seed).item()));
    return result;
  };
  for (int count : counts(RandomChoice({add(0), add(1), add(2)}))) EXPECT_NEAR(count, 200, 60);
  const auto weighted = counts(RandomChoice({add(0), add(1), add(2)}, {1, 0, 3}));
  EXPECT_NEAR(weighted[0], 150, 50);
  EXPECT_EQ(weighted[1], 0);
  EXPECT_THAT([] { RandomChoice({}); },
              ThrowsMessage<ArgumentError>("RandomChoice: there are no transforms, expected at least one"));
  EXPECT_THAT([] { RandomChoice({Transform()}); },
              ThrowsMessage<ArgumentError>("RandomChoice: a transform is an empty function"));
  const std::string expected =
      "RandomChoice: expected a weight of 0 or more for each transform, and one that is positive (";
  EXPECT_THAT(
      [] {
        RandomChoice({add(1)}, {1, 1});
      },
      ThrowsMessage<ArgumentError>(expected + "1 transforms, weights [1, 1])"));
  EXPECT_THAT([] { RandomChoice({add(1)}, {0}); },
              ThrowsMessage<ArgumentError>(expected + "1 transforms, weights [0])"));
  EXPECT_THAT(
      [] {
        RandomChoice({add(1), add(2)}, {2, -1});
      },
      ThrowsMessage<ArgumentError>(expected + "2 transforms, weights [2, -1])"));
}

}  // namespace
}  // namespace dnn::test
