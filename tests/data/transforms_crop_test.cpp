// Crops, flips, normalisation and erasing: small cases by hand, how often and where chance strikes, errors, and the
// same batches with any number of threads.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "data/transforms/image.h"
#include "tests/data/transforms_support.h"

namespace dnn::test {
namespace {

using detail::crop;
using detail::Window;

std::vector<float> cropped(const Tensor& image, const Window& window, PaddingMode mode, std::vector<float> fill = {0}) {
  return values(crop(image, window, mode, detail::Fill("test", fill, image)));
}

TEST(Crop, TakesAWindow) {
  const Tensor image = counted({1, 3, 4});
  EXPECT_EQ(cropped(image, {1, 2, 2, 2}, PaddingMode::constant), (std::vector<float>{7, 8, 11, 12}));
  EXPECT_EQ(cropped(image, {0, 0, 3, 4}, PaddingMode::constant), values(image));
  EXPECT_EQ(cropped(image, {2, 3, 2, 2}, PaddingMode::constant, {-1}), (std::vector<float>{12, -1, -1, -1}));
  EXPECT_EQ(cropped(image, {-1, -1, 2, 3}, PaddingMode::constant), (std::vector<float>{0, 0, 0, 0, 1, 2}));
  EXPECT_EQ(cropped(image, {5, 9, 1, 2}, PaddingMode::constant, {4}), (std::vector<float>{4, 4}));
  EXPECT_EQ(cropped(counted({2, 1, 1}), {0, -1, 1, 3}, PaddingMode::constant, {8, 9}),
            (std::vector<float>{8, 1, 8, 9, 2, 9}));
}

TEST(Crop, PadsByTheImageItself) {
  const Tensor row = counted({1, 1, 3});
  const auto padded = [&](PaddingMode mode) { return cropped(row, {0, -4, 1, 11}, mode); };
  EXPECT_EQ(padded(PaddingMode::edge), (std::vector<float>{1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3}));
  EXPECT_EQ(padded(PaddingMode::reflect), (std::vector<float>{1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3}));
  EXPECT_EQ(padded(PaddingMode::symmetric), (std::vector<float>{3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1}));
  const Tensor column = counted({1, 2, 1});
  EXPECT_EQ(cropped(column, {-2, 0, 6, 1}, PaddingMode::reflect), (std::vector<float>{1, 2, 1, 2, 1, 2}));
  EXPECT_EQ(cropped(counted({1, 1, 1}), {-1, -1, 3, 1}, PaddingMode::reflect), (std::vector<float>{1, 1, 1}));
}

TEST(RandomCrop, FindsEveryPlaceEquallyOften) {
  std::array<int, 9> counts{};  // of the nine windows of 2 x 2 in 4 x 4, by their first pixel
  const RandomCrop transform(2);
  for (uint64_t seed = 0; seed < 1800; ++seed) {
    const int first = static_cast<int>(values(apply(transform, counted({1, 4, 4}), seed)).front()) - 1;
    ++counts.at(static_cast<size_t>(first / 4 * 3 + first % 4));
  }
  for (int count : counts) EXPECT_NEAR(count, 200, 60);
}

TEST(RandomCrop, PadsFirst) {
  const RandomCrop transform(3, {.padding = {1, 0}, .fill = {-1}});
  std::set<std::vector<float>> seen;
  for (uint64_t seed = 0; seed < 50; ++seed) seen.insert(values(apply(transform, counted({1, 3, 3}), seed)));
  EXPECT_EQ(seen, (std::set<std::vector<float>>{
                      {-1, -1, -1, 1, 2, 3, 4, 5, 6}, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {4, 5, 6, 7, 8, 9, -1, -1, -1}}));
  const RandomCrop all({4, 2}, {.pad_if_needed = true});
  EXPECT_EQ(apply(all, counted({3, 2, 3})).shape(), (Shape{3, 4, 2}));
  EXPECT_EQ(values(apply(RandomCrop(3), counted({1, 3, 3}))), values(counted({1, 3, 3})));
}

TEST(RandomCrop, RefusesWhatDoesNotFit) {
  expect_only_images(RandomCrop(4), "RandomCrop");
  EXPECT_THAT(
      [] {
        apply(RandomCrop(10, {.padding = {2, 5}}), zeros({3, 4, 4}));
      },
      ThrowsMessage<ShapeError>(
          "RandomCrop: the image is smaller than the crop of 10 x 10 (input [3, 4, 4], padding 2 x 5)"));
  EXPECT_THAT(
      [] {
        RandomCrop({0, 2});
      },
      ThrowsMessage<ArgumentError>("RandomCrop: size is 0 x 2, expected 1 x 1 or more"));
  EXPECT_THAT([] { RandomCrop(2, {.padding = -1}); },
              ThrowsMessage<ArgumentError>("RandomCrop: padding is -1 x -1, expected 0 or more"));
  EXPECT_THAT(
      [] {
        apply(RandomCrop(2, {.fill = {1, 2}}), zeros({3, 4, 4}));
      },
      ThrowsMessage<ArgumentError>(
          "RandomCrop: fill has 2 values, expected one, or one for each channel (input [3, 4, 4])"));
}

TEST(CenterCrop, TakesTheMiddle) {
  EXPECT_EQ(values(apply(CenterCrop({1, 2}), counted({1, 3, 4}))), (std::vector<float>{6, 7}));
  EXPECT_EQ(values(apply(CenterCrop(2), counted({1, 3, 3}))), (std::vector<float>{1, 2, 4, 5}));
  EXPECT_EQ(values(apply(CenterCrop({1, 4}), counted({1, 1, 1}))), (std::vector<float>{0, 1, 0, 0}));
  expect_only_images(CenterCrop(4), "CenterCrop");
  EXPECT_THAT([] { CenterCrop(-1); },
              ThrowsMessage<ArgumentError>("CenterCrop: size is -1 x -1, expected 1 x 1 or more"));
}

TEST(RandomFlip, MirrorsHalfOfTheImages) {
  const Tensor image = counted({2, 2, 3});
  const auto count = [&](const Transform& transform, const std::vector<float>& mirrored) {
    int flipped = 0;
    for (uint64_t seed = 0; seed < 400; ++seed) {
      const auto result = values(apply(transform, image, seed));
      flipped += result == mirrored;
      EXPECT_TRUE(result == mirrored || result == values(image));
    }
    return flipped;
  };
  const std::vector<float> horizontal{3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10};
  const std::vector<float> vertical{4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9};
  EXPECT_NEAR(count(RandomHorizontalFlip(), horizontal), 200, 50);
  EXPECT_NEAR(count(RandomVerticalFlip(0.25), vertical), 100, 40);
  EXPECT_EQ(count(RandomHorizontalFlip(1), horizontal), 400);
  EXPECT_EQ(count(RandomVerticalFlip(0), vertical), 0);
}

TEST(RandomFlip, RefusesWhatDoesNotFit) {
  expect_only_images(RandomHorizontalFlip(), "RandomHorizontalFlip");
  expect_only_images(RandomVerticalFlip(), "RandomVerticalFlip");
  EXPECT_THAT([] { RandomHorizontalFlip(1.5); },
              ThrowsMessage<ArgumentError>("RandomHorizontalFlip: p is 1.5, expected 0 to 1"));
  EXPECT_THAT([] { RandomVerticalFlip(NAN); },
              ThrowsMessage<ArgumentError>("RandomVerticalFlip: p is nan, expected 0 to 1"));
}

TEST(Normalize, ShiftsAndScalesChannels) {
  const Normalize transform({.mean = {1, 0.5f}, .deviation = {2, 0.25f}});
  EXPECT_EQ(values(apply(transform, counted({2, 1, 2}))), (std::vector<float>{0, 0.5, 10, 14}));
  EXPECT_EQ(values(apply(transform, counted({4, 1, 2}).slice(0, 0, 4, 2))), (std::vector<float>{0, 0.5, 18, 22}));
}

TEST(Normalize, RefusesWhatDoesNotFit) {
  expect_only_images(Normalize({.mean = {0}, .deviation = {1}}), "Normalize");
  EXPECT_THAT(
      [] {
        apply(Normalize({.mean = {0, 0, 0}, .deviation = {1, 1, 1}}), zeros({1, 28, 28}));
      },
      ThrowsMessage<ShapeError>(
          "Normalize: the image has 1 channels, expected 3, as there are means (input [1, 28, 28])"));
  const auto expect_error = [](const Normalization& normalization, const std::string& facts) {
    EXPECT_THAT([&] { Normalize{normalization}; },
                ThrowsMessage<ArgumentError>("Normalize: expected a mean and a positive deviation for each channel (" +
                                             facts + ")"));
  };
  expect_error({}, "0 means, deviations []");
  expect_error({.mean = {0, 0}, .deviation = {1}}, "2 means, deviations [1]");
  expect_error({.mean = {0}, .deviation = {0}}, "1 means, deviations [0]");
  expect_error({.mean = {0}, .deviation = {NAN}}, "1 means, deviations [nan]");
}

// How many pixels of the first channel are that value.
int64_t count_of(const Tensor& image, float value) {
  const auto pixels = values(image[0]);
  return std::ranges::count(pixels, value);
}

TEST(Cutout, ErasesWindows) {
  const Tensor image = ones({2, 5, 5});
  std::array<int, 25> erased{};
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const Tensor result = apply(Cutout(3), image, seed);
    const auto pixels = values(result[0]);
    EXPECT_EQ(pixels, values(result[1]));
    const int64_t zeros = std::ranges::count(pixels, 0.0f);
    EXPECT_TRUE(zeros == 9 || zeros == 6 || zeros == 4) << zeros;
    for (size_t i = 0; i < 25; ++i) erased[i] += pixels[i] == 0;
  }
  EXPECT_NEAR(erased[12], 500 * 9 / 25, 60);  // the centre is in nine of the 25 windows
  EXPECT_NEAR(erased[0], 500 * 4 / 25, 40);   // a corner in four
  EXPECT_EQ(count_of(apply(Cutout({2, 100}, {.fill = {3, 4}}), image, 1), 3) % 5, 0);
  EXPECT_EQ(values(apply(Cutout(3, {.p = 0}), image)), values(image));
  EXPECT_EQ(count_of(apply(Cutout(100), image), 0), 25);
  EXPECT_GT(count_of(apply(Cutout(1, {.holes = 100}), image), 0), 20);
}

TEST(RandomErasing, ErasesARectangle) {
  const Tensor image = ones({1, 20, 30});
  int erased = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const auto zeros = static_cast<double>(count_of(apply(RandomErasing(), image, seed), 0));
    erased += zeros > 0;
    EXPECT_LT(zeros, 0.36 * 600);  // 0.33 and the rounding of the sides
  }
  EXPECT_NEAR(erased, 200, 50);
  const RandomErasing square({.p = 1, .scale = {0.06, 0.06}, .ratio = {1, 1}, .fill = {5}});
  EXPECT_EQ(count_of(apply(square, image), 5), 36);
  const RandomErasing noisy({.p = 1, .scale = {0.06, 0.06}, .ratio = {1, 1}, .noise = true});
  const auto pixels = values(apply(noisy, image));
  EXPECT_EQ(std::ranges::count(pixels, 1.0f), 564);
  EXPECT_EQ(std::set<float>(pixels.begin(), pixels.end()).size(), 37);
  const RandomErasing endless({.p = 1, .ratio = {1e307, 1e308}});
  EXPECT_EQ(values(apply(endless, image)), values(image));
  const RandomErasing too_large({.p = 1, .scale = {1, 1}, .ratio = {1, 1}});
  EXPECT_EQ(values(apply(too_large, image)), values(image));
}

TEST(Erase, RefusesWhatDoesNotFit) {
  expect_only_images(Cutout(2), "Cutout");
  expect_only_images(RandomErasing(), "RandomErasing");
  EXPECT_THAT([] { Cutout(0); }, ThrowsMessage<ArgumentError>("Cutout: size is 0 x 0, expected 1 x 1 or more"));
  EXPECT_THAT([] { Cutout(2, {.holes = 0}); }, ThrowsMessage<ArgumentError>("Cutout: holes is 0, expected 1 or more"));
  EXPECT_THAT([] { Cutout(2, {.p = -1}); }, ThrowsMessage<ArgumentError>("Cutout: p is -1, expected 0 to 1"));
  EXPECT_THAT(
      [] {
        apply(Cutout(2, {.fill = {}}), zeros({1, 4, 4}));
      },
      ThrowsMessage<ArgumentError>(HasSubstr("Cutout: fill has 0 values, expected one")));
  EXPECT_THAT([] { RandomErasing({.p = 2}); }, ThrowsMessage<ArgumentError>("RandomErasing: p is 2, expected 0 to 1"));
  EXPECT_THAT(
      [] {
        RandomErasing({.scale = {0.5, 1.5}});
      },
      ThrowsMessage<ArgumentError>("RandomErasing: scale is 0.5 to 1.5, expected shares of the image's area"));
  EXPECT_THAT(
      [] {
        RandomErasing({.ratio = {0, 1}});
      },
      ThrowsMessage<ArgumentError>("RandomErasing: ratio is 0 to 1, expected positive numbers"));
  EXPECT_THAT(
      [] {
        apply(RandomErasing({.fill = {1, 2}}), zeros({3, 4, 4}));
      },
      ThrowsMessage<ArgumentError>(HasSubstr("RandomErasing: fill has 2 values")));
}

TEST(Transforms, GiveTheSameBatchesWithAnyNumberOfThreads) {
  std::vector<uint8_t> bytes(40 * 3 * 8 * 8);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 37 % 251);
  const ImageDataset images("bytes", from_values(bytes, {40, 3, 8, 8}), zeros({40}, {.dtype = DType::int64}), {"a"});
  const TransformedDataset data(
      images, {RandomCrop(8, {.padding = 2, .mode = PaddingMode::reflect}), RandomHorizontalFlip(), Cutout(3),
               RandomErasing(), Normalize({.mean = {0.5f, 0.5f, 0.5f}, .deviation = {0.25f, 0.25f, 0.25f}})});
  const auto run = [&](int threads) {
    std::vector<float> pixels;
    DataLoader loader(data, {.batch_size = 16, .shuffle = true, .seed = 3, .threads = threads});
    for (int epoch = 0; epoch < 2; ++epoch)
      for (const Batch& batch : loader)
        for (float pixel : values(batch.input)) pixels.push_back(pixel);
    return pixels;
  };
  const auto expected = run(0);
  EXPECT_EQ(expected.size(), 2 * bytes.size());
  for (int threads : {1, 2, 4}) EXPECT_EQ(run(threads), expected);
}

}  // namespace
}  // namespace dnn::test
