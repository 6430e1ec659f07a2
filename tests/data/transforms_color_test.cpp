// Colours: what chance draws, images of one channel, errors, and the same batches with any number of threads. The
// formulas are compared with torchvision's in tests/torch.
#include <algorithm>
#include <cmath>
#include <set>

#include "tests/data/transforms_support.h"

namespace dnn::test {
namespace {

TEST(ColorJitter, StaysWithinItsBounds) {
  const Tensor image = full({3, 1, 1}, 0.4);
  std::set<float> seen;
  for (uint64_t seed = 0; seed < 300; ++seed)
    seen.insert(values(apply(ColorJitter({.brightness = 0.5}), image, seed)).front());
  EXPECT_GT(seen.size(), 250u);
  EXPECT_NEAR(*seen.begin(), 0.2, 0.01);
  EXPECT_NEAR(*seen.rbegin(), 0.6, 0.01);
  // Factors do not fall below 0, pixels stay in [0, 1].
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const auto pixels = values(apply(ColorJitter({.brightness = 2, .contrast = 3, .saturation = 4, .hue = 0.5}),
                                     random_image({3, 4, 4}), seed));
    EXPECT_TRUE(std::ranges::all_of(pixels, [](float pixel) { return pixel >= 0 && pixel <= 1; }));
  }
}

TEST(ColorJitter, ChangesNothingByDefaultAndGrayOnlyInBrightness) {
  const Tensor color = random_image({3, 4, 5}), gray = random_image({1, 4, 5});
  EXPECT_EQ(values(apply(ColorJitter({}), color)), values(color));
  EXPECT_EQ(values(apply(ColorJitter({.saturation = 1, .hue = 0.5}), gray)), values(gray));
  EXPECT_NE(values(apply(ColorJitter({.contrast = 1}), gray)), values(gray));
}

TEST(ColorJitter, VariesTheOrder) {
  // Brightness first saturates the pixel, contrast first does not.
  const Tensor image = from_values(std::vector<float>{0.9f, 0.1f}, {1, 1, 2});
  std::set<bool> saturated;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto pixels = values(apply(ColorJitter({.brightness = 1, .contrast = 1}), image, seed));
    saturated.insert(pixels[0] == 1);
  }
  EXPECT_EQ(saturated.size(), 2u);
}

TEST(Grayscale, WeighsTheColors) {
  const Tensor image = from_values(std::vector<float>{1, 0, 0, 0, 1, 0, 0, 0, 1}, {3, 1, 3});
  EXPECT_EQ(values(apply(Grayscale(), image)), (std::vector<float>{0.2989f, 0.587f, 0.114f}));
  EXPECT_EQ(values(apply(Grayscale(3), image)),
            (std::vector<float>{0.2989f, 0.587f, 0.114f, 0.2989f, 0.587f, 0.114f, 0.2989f, 0.587f, 0.114f}));
  EXPECT_EQ(values(apply(Grayscale(3), counted({1, 1, 2}))), (std::vector<float>{1, 2, 1, 2, 1, 2}));
  EXPECT_EQ(values(apply(Grayscale(), counted({1, 1, 2}))), (std::vector<float>{1, 2}));
  int gray = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) gray += values(apply(RandomGrayscale(0.3), image, seed))[1] > 0;
  EXPECT_NEAR(gray, 90, 40);
  EXPECT_EQ(values(apply(RandomGrayscale(1), counted({1, 1, 2}))), (std::vector<float>{1, 2}));
}

TEST(GaussianBlur, SpreadsAPoint) {
  Tensor image = zeros({1, 5, 5});
  image[0][2][2].fill_(1);
  const auto pixels = values(apply(GaussianBlur(3, {1, 1}), image));
  const double e = std::exp(-0.5), total = 1 + 2 * e;
  EXPECT_NEAR(pixels[12], 1 / (total * total), 1e-6);
  EXPECT_NEAR(pixels[11], e / (total * total), 1e-6);
  EXPECT_NEAR(pixels[6], e * e / (total * total), 1e-6);
  EXPECT_EQ(pixels[0], 0);
  EXPECT_EQ(values(apply(GaussianBlur(1), image)), values(image));
  const auto even = values(apply(GaussianBlur({31, 7}, {3, 3}), ones({2, 4, 1})));
  for (float pixel : even) EXPECT_NEAR(pixel, 1, 1e-6);
}

TEST(Colors, RefuseWhatDoesNotFit) {
  expect_only_images(ColorJitter({}), "ColorJitter");
  expect_only_images(Grayscale(), "Grayscale");
  expect_only_images(RandomGrayscale(), "RandomGrayscale");
  expect_only_images(GaussianBlur(3), "GaussianBlur");
  EXPECT_THAT(
      [] {
        apply(ColorJitter({}), zeros({2, 4, 4}));
      },
      ThrowsMessage<ShapeError>("ColorJitter: the image has 2 channels, expected 1 or 3 (input [2, 4, 4])"));
  EXPECT_THAT(
      [] {
        apply(Grayscale(), zeros({4, 4, 4}));
      },
      ThrowsMessage<ShapeError>("Grayscale: the image has 4 channels, expected 1 or 3 (input [4, 4, 4])"));
  EXPECT_THAT(
      [] {
        apply(RandomGrayscale(0), zeros({4, 4, 4}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("RandomGrayscale: the image has 4 channels")));
  EXPECT_THAT([] { ColorJitter({.brightness = -1}); },
              ThrowsMessage<ArgumentError>("ColorJitter: brightness is -1, expected 0 to 1000000"));
  EXPECT_THAT([] { ColorJitter({.contrast = NAN}); },
              ThrowsMessage<ArgumentError>("ColorJitter: contrast is nan, expected 0 to 1000000"));
  EXPECT_THAT([] { ColorJitter({.saturation = INFINITY}); },
              ThrowsMessage<ArgumentError>("ColorJitter: saturation is inf, expected 0 to 1000000"));
  EXPECT_THAT([] { ColorJitter({.hue = 0.6}); },
              ThrowsMessage<ArgumentError>("ColorJitter: hue is 0.6, expected 0 to 0.5"));
  EXPECT_THAT([] { Grayscale(2); }, ThrowsMessage<ArgumentError>("Grayscale: channels is 2, expected 1 or 3"));
  EXPECT_THAT([] { RandomGrayscale(-1); }, ThrowsMessage<ArgumentError>("RandomGrayscale: p is -1, expected 0 to 1"));
  EXPECT_THAT(
      [] {
        GaussianBlur({3, 4});
      },
      ThrowsMessage<ArgumentError>("GaussianBlur: kernel is 3 x 4, expected odd positive numbers"));
  EXPECT_THAT(
      [] {
        GaussianBlur(3, {0, 1});
      },
      ThrowsMessage<ArgumentError>("GaussianBlur: sigma is 0 to 1, expected positive numbers"));
}

TEST(Transforms, OfEveryKindGiveTheSameBatchesWithAnyNumberOfThreads) {
  const TensorDataset images(random_image({24, 3, 10, 12}), arange(0, 24));
  const TransformedDataset data(
      images,
      {Resize(12), RandomResizedCrop(9), RandomVerticalFlip(),
       RandomChoice({RandomRotation(20), RandomAffine({.degrees = {-5, 5}, .scale = {0.8, 1.2}}), ElasticDistortion()}),
       RandomApply({ColorJitter({.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.1})}, 0.8),
       RandomGrayscale(0.3), GaussianBlur(3), Compose({CenterCrop(8), RandomErasing({.noise = true})})});
  const auto run = [&](int threads) {
    std::vector<float> pixels;
    DataLoader loader(data, {.batch_size = 5, .shuffle = true, .seed = 3, .threads = threads});
    for (int epoch = 0; epoch < 2; ++epoch)
      for (const Batch& batch : loader)
        for (float pixel : values(batch.input)) pixels.push_back(pixel);
    return pixels;
  };
  const auto expected = run(0);
  EXPECT_EQ(expected.size(), 2u * 24 * 3 * 8 * 8);
  for (int threads : {1, 2, 4}) EXPECT_EQ(run(threads), expected);
}

}  // namespace
}  // namespace dnn::test
