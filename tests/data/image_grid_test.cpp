// The grid of images: every pixel of small cases by hand, titles, errors.
#include "dnn/data/image_grid.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/data/support.h"

namespace dnn::test {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes channel(const Tensor& picture, int64_t c) { return picture[c].clone().to_vector<uint8_t>(); }

TEST(ImageGrid, LaysOutRowByRow) {
  const Tensor images = from_values(std::vector<float>{0.2f, 0.4f, 0.6f, 0.8f, 1.0f, 0.0f}, {3, 1, 1, 2});
  const Tensor grid = image_grid(images, {.columns = 2, .padding = 1, .background = 1});
  ASSERT_EQ(grid.shape(), (Shape{3, 5, 7}));
  const Bytes expected{255, 255, 255, 255, 255, 255, 255,  //
                       255, 51,  102, 255, 153, 204, 255,  //
                       255, 255, 255, 255, 255, 255, 255,  //
                       255, 255, 0,   255, 255, 255, 255,  //
                       255, 255, 255, 255, 255, 255, 255};
  for (int64_t c = 0; c < 3; ++c) EXPECT_EQ(channel(grid, c), expected);
  EXPECT_EQ(image_grid(images).shape(), (Shape{3, 5, 14}));
}

TEST(ImageGrid, TakesColorsAndBytes) {
  const Tensor images = from_values(Bytes{1, 2, 3, 4, 5, 6}, {1, 3, 1, 2});
  const Tensor grid = image_grid(images, {.padding = 0, .scale = 2});
  ASSERT_EQ(grid.shape(), (Shape{3, 2, 4}));
  EXPECT_EQ(channel(grid, 0), (Bytes{1, 1, 2, 2, 1, 1, 2, 2}));
  EXPECT_EQ(channel(grid, 2), (Bytes{5, 5, 6, 6, 5, 5, 6, 6}));
}

TEST(ImageGrid, ClampsAndStretches) {
  const Tensor images = from_values(std::vector<float>{-1, 1, 0, NAN, INFINITY, 3}, {3, 1, 1, 2});
  const auto row = [&](ImageGridOptions::Stretch stretch, DType type = DType::float32) {
    return channel(image_grid(images.to(type), {.padding = 0, .stretch = stretch}), 0);
  };
  EXPECT_EQ(row(ImageGridOptions::none), (Bytes{0, 255, 0, 0, 255, 255}));
  EXPECT_EQ(row(ImageGridOptions::all), (Bytes{0, 128, 64, 0, 255, 255}));
  EXPECT_EQ(row(ImageGridOptions::each), (Bytes{0, 255, 0, 0, 255, 0}));
  EXPECT_EQ(row(ImageGridOptions::all, DType::float64), (Bytes{0, 128, 64, 0, 255, 255}));
  const Tensor bytes = from_values(Bytes{10, 20}, {1, 1, 1, 2});
  EXPECT_EQ(channel(image_grid(bytes, {.padding = 0, .stretch = ImageGridOptions::all}), 0), (Bytes{0, 255}));
}

TEST(ImageGrid, WritesTitles) {
  const Tensor images = full({2, 1, 4, 40}, 0.5);
  const ImageGridOptions options{.padding = 2, .background = 1, .titles = {"label: 5", ""}};
  const Tensor grid = image_grid(images, options);
  ASSERT_EQ(grid.shape(), (Shape{3, 20, 2 * 42 + 2}));
  const Bytes pixels = channel(grid, 0);
  const auto dark = [&](int64_t row, int64_t left, int64_t right) {
    return std::count(pixels.begin() + row * 86 + left, pixels.begin() + row * 86 + right, 0);
  };
  int64_t ink = 0;
  for (int64_t row = 2; row < 14; ++row) {
    ink += dark(row, 2, 42);
    EXPECT_EQ(dark(row, 42, 86), 0);
  }
  EXPECT_GT(ink, 40);
  EXPECT_EQ(std::ranges::count(pixels, 0), ink);
  EXPECT_EQ(std::ranges::count(pixels, 128), 2 * 160);
  // Twice the size: four times the ink. The font is black on white or white on black.
  ImageGridOptions large = options;
  large.title_scale = 2;
  large.background = 0;
  EXPECT_EQ(std::ranges::count(channel(image_grid(images, large), 0), 255), 4 * ink);
}

TEST(ImageGrid, WidensCellsForLongTitlesAndKnowsEveryCharacter) {
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  const Tensor grid = image_grid(zeros({1, 3, 2, 2}), {.titles = {all}});
  EXPECT_GT(grid.size(2), 1000);
  EXPECT_EQ(grid.size(1), 2 + 12 + 2 + 2);
  const Bytes pixels = channel(grid, 0);
  EXPECT_EQ(std::set<uint8_t>(pixels.begin(), pixels.end()), (std::set<uint8_t>{0, 255}));
}

TEST(ImageGrid, RefusesWhatDoesNotFit) {
  const Tensor images = zeros({2, 1, 4, 4});
  EXPECT_THAT([] { image_grid({}); },
              ThrowsMessage<ArgumentError>("image_grid: images are undefined, expected a tensor"));
  for (const Shape& shape : {Shape{1, 4, 4}, Shape{2, 2, 4, 4}, Shape{0, 1, 4, 4}, Shape{2, 3, 0, 4}})
    EXPECT_THAT(
        [&] { image_grid(zeros(shape)); },
        ThrowsMessage<ShapeError>("image_grid: expected images [n, 1 or 3, h, w] (images " + shape.str() + ")"));
  EXPECT_THAT([&] { image_grid(images.to(DType::int64)); },
              ThrowsMessage<DTypeError>(
                  "image_grid: images are int64, expected uint8 or a floating type (images [2, 1, 4, 4])"));
  const auto expect_error = [&](const ImageGridOptions& options, const std::string& text) {
    EXPECT_THAT([&] { image_grid(images, options); }, ThrowsMessage<ArgumentError>("image_grid: " + text));
  };
  expect_error({.columns = 0}, "columns is 0, expected 1 to 10000");
  expect_error({.padding = -1}, "padding is -1, expected 0 to 10000");
  expect_error({.background = 1.5}, "background is 1.5, expected 0 to 1");
  expect_error({.scale = 0}, "scale is 0, expected 1 to 10000");
  expect_error({.titles = {"one"}}, "there are 1 titles, expected one for each image (images [2, 1, 4, 4])");
  expect_error({.title_scale = 10001}, "title_scale is 10001, expected 1 to 10000");
}

}  // namespace
}  // namespace dnn::test
