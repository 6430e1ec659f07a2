// Augmentation of images.
#include "dnn/ops/augment.h"

#include <gmock/gmock.h>

#include <set>

#include "core/storage.h"
#include "dnn/error.h"
#include "dnn/ops/factory.h"
#include "dnn/random.h"
#include "tests/harness/errors.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

int64_t below(uint32_t word, int64_t bound) {
  return static_cast<int64_t>(std::floor(word * 0x1p-32 * static_cast<double>(bound)));
}

// The definition, element by element.
Array augmented(const Array& images, const std::vector<int64_t>& indices, const AugmentOptions& o) {
  const Shape& s = images.shape;
  const int64_t rows = o.size.h == 0 ? s[2] : o.size.h, columns = o.size.w == 0 ? s[3] : o.size.w;
  Array y(Shape{std::ssize(indices), s[1], rows, columns});
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t n = i / (s[1] * rows * columns), c = i / (rows * columns) % s[1];
    const int64_t index = indices[static_cast<size_t>(n)];
    const auto words = philox(call_seed, 0, static_cast<uint64_t>(index));
    const int64_t top = below(words[0], s[2] + 2 * o.padding.h - rows + 1) - o.padding.h;
    const int64_t left = below(words[1], s[3] + 2 * o.padding.w - columns + 1) - o.padding.w;
    const bool flipped = words[2] * 0x1p-32 < o.flip;
    int64_t row = top + i / columns % rows;
    int64_t column = left + (flipped ? columns - 1 - i % columns : i % columns);
    if (o.reflect) {
      row = row < 0 ? -row : row >= s[2] ? 2 * s[2] - 2 - row : row;
      column = column < 0 ? -column : column >= s[3] ? 2 * s[3] - 2 - column : column;
    }
    if (row < 0 || row >= s[2] || column < 0 || column >= s[3]) continue;
    const double pixel = images[((index * s[1] + c) * s[2] + row) * s[3] + column] / 255;
    const auto channel = static_cast<size_t>(c);
    y[i] = (pixel - (o.mean.empty() ? 0 : static_cast<double>(o.mean[channel]))) /
           (o.deviation.empty() ? 1 : static_cast<double>(o.deviation[channel]));
  }
  return y;
}

Row augment_row() {
  Row row{.operation = "augment_images"};
  struct Case {
    std::string label;
    Shape images;
    AugmentOptions options;
  };
  const std::vector<Case> cases{
      {"as they are", {4, 3, 5, 7}, {}},
      {"normalised", {3, 3, 4, 4}, {.mean = {0.5f, 0.25f, 0.125f}, .deviation = {0.25f, 0.5f, 2}}},
      {"flipped", {9, 1, 4, 5}, {.flip = 0.5}},
      {"always flipped", {2, 2, 4, 5}, {.flip = 1}},
      {"padded", {9, 3, 6, 6}, {.padding = 2, .flip = 0.5, .mean = {0.5f, 0.5f, 0.5f}}},
      {"padded by mirroring", {9, 4, 6, 5}, {.padding = Size2(5, 4), .reflect = true, .flip = 0.5}},
      {"windows", {9, 3, 8, 9}, {.size = Size2(3, 4)}},
      {"windows larger than the image", {5, 2, 3, 4}, {.size = Size2(5, 7), .padding = Size2(1, 2)}},
      {"many channels", {3, 64, 3, 3}, {.padding = 1}},
      {"one pixel", {1, 1, 1, 1}, {.flip = 0.5}},
      {"none", {0, 3, 4, 4}, {.padding = 1}},
  };
  for (const Case& c : cases) {
    for (const bool indexed : {false, true}) {
      std::vector<int64_t> indices;
      std::vector<double> listed;
      for (int64_t i = 0; i < c.images[0]; ++i) indices.push_back(indexed ? i * 5 % c.images[0] : i);
      if (indexed && !indices.empty()) indices.push_back(0);
      for (const int64_t index : indices) listed.push_back(static_cast<double>(index));
      Sample sample{.label = c.label + (indexed ? ", by index" : ""),
                    .inputs = {Input::integers(c.images, 0, 256).typed(DType::uint8).parameter()},
                    .function =
                        [o = c.options, indexed](const Args& x) {
                          AugmentOptions options = o;
                          options.dtype = x.options.dtype;
                          return indexed ? augment_images(x[0], x[1], options) : augment_images(x[0], options);
                        },
                    .reference = [=](const std::vector<Array>& x) { return augmented(x[0], indices, c.options); }};
      if (indexed) sample.inputs.push_back(Input::of({std::ssize(indices)}, listed).typed(DType::int64).parameter());
      row.sample(std::move(sample));
    }
  }
  return row.no_gradient();
}

const Rows rows{augment_row()};

Device test_device() { return table_devices().front(); }

Tensor random_images(const Shape& shape) { return randint(0, 256, shape, {.dtype = DType::uint8}); }

TEST(AugmentImages, GivesTheSameBitsOnEveryDevice) {
  manual_seed(3);
  const Tensor images = random_images({20, 3, 9, 8}), indices = tensor({3, 19, 3, 0, 7}, {5}, {.dtype = DType::int64});
  for (const DType type : {DType::float32, DType::float16, DType::bfloat16}) {
    const AugmentOptions options{.size = 8,
                                 .padding = 2,
                                 .flip = 0.5,
                                 .mean = {0.4f, 0.5f, 0.6f},
                                 .deviation = {0.2f, 0.3f, 0.7f},
                                 .dtype = type};
    Generator one(5), two(5);
    const Tensor expected = augment_images(images, indices, options, one);
    for (const Device device : table_devices()) {
      if (device_count(device.type()) == 0) continue;
      two.set_state(5, 0);
      const Tensor actual = augment_images(images.to(device), indices.to(device), options, two);
      EXPECT_EQ(actual.to(Device::cpu()).to(DType::float32).to_vector<float>(),
                expected.to(DType::float32).to_vector<float>())
          << device.str();
      EXPECT_EQ(two.offset(), 1u);
    }
  }
}

TEST(AugmentImages, OfAnIndexIsTheSameInEveryBatch) {
  const Tensor images = random_images({30, 1, 6, 6}).to(test_device());
  const AugmentOptions options{.padding = 3, .flip = 0.5};
  Generator a(8), b(8), c(9);
  const Tensor all =
      augment_images(images, arange(0, 30, 1, {.dtype = DType::int64, .device = test_device()}), options, a);
  const Tensor few =
      augment_images(images, tensor({17, 4}, {2}, {.dtype = DType::int64, .device = test_device()}), options, b);
  EXPECT_EQ(few[0].to_vector<float>(), all[17].to_vector<float>());
  EXPECT_EQ(few[1].to_vector<float>(), all[4].to_vector<float>());
  const Tensor other =
      augment_images(images, tensor({17, 4}, {2}, {.dtype = DType::int64, .device = test_device()}), options, c);
  EXPECT_NE(other.to_vector<float>(), few.to_vector<float>());
}

// Every place comes up, mirrored and not.
TEST(AugmentImages, ReachesEveryWindow) {
  const Tensor image = arange(1, 13, 1, {.dtype = DType::uint8, .device = test_device()}).reshape({1, 1, 3, 4});
  std::set<std::vector<float>> seen;
  for (int i = 0; i < 300; ++i)
    seen.insert(augment_images(image, {.size = 3, .padding = Size2(1, 0), .flip = 0.5}).to_vector<float>());
  EXPECT_EQ(seen.size(), 3u * 2u * 2u);
}

TEST(AugmentImages, IsWhatConvolutionsOfTheDeviceRead) {
  const Tensor images = random_images({2, 3, 8, 8}).to(test_device());
  const auto expected = test_device().is_cpu() ? detail::Layout::plain : detail::Layout::channels_last;
  EXPECT_EQ(detail::layout_of(augment_images(images)), expected);
  EXPECT_EQ(detail::layout_of(augment_images(images, {.dtype = DType::float64})), detail::Layout::plain);
}

TEST(AugmentImages, NamesWhatIsWrong) {
  const TensorOptions bytes{.dtype = DType::uint8}, i64{.dtype = DType::int64};
  const Tensor images = zeros({2, 3, 4, 5}, bytes), indices = zeros({1}, i64);
  EXPECT_ERROR(augment_images({}), ArgumentError, "augment_images: images is undefined, expected a tensor");
  EXPECT_ERROR(augment_images(images, Tensor(), {}), ArgumentError,
               "augment_images: indices is undefined, expected a tensor");
  EXPECT_ERROR(augment_images(images, zeros({1}, {.dtype = DType::int64}), {}, std::shared_ptr<const Generator>()),
               ArgumentError, "augment_images: generator is null");
  EXPECT_ERROR(augment_images(zeros({3, 4, 5}, bytes)), ShapeError,
               "augment_images: images has 3 dimensions, expected 4 (images [3, 4, 5])");
  EXPECT_ERROR(augment_images(zeros({2, 3, 4, 5})), DTypeError,
               "augment_images: images are float32, expected uint8 (images [2, 3, 4, 5])");
  EXPECT_ERROR(augment_images(images, {.dtype = DType::int32}), DTypeError,
               "augment_images: options.dtype is int32, expected a floating type");
  EXPECT_ERROR(augment_images(zeros({2, 65, 1, 1}, bytes)), ShapeError,
               "augment_images: 65 channels, expected at most 64 (images [2, 65, 1, 1])");
  EXPECT_ERROR(augment_images(images, {.size = Size2(-1, 2)}), ArgumentError,
               "augment_images: size is -1x2, expected 0 to 2147483647");
  EXPECT_ERROR(augment_images(images, {.padding = Size2(0, int64_t{1} << 40)}), ArgumentError,
               "augment_images: padding is 0x1099511627776, expected 0 to 2147483647");
  EXPECT_ERROR(
      augment_images(images, {.size = 7, .padding = 1}), ShapeError,
      "augment_images: a window of 7x7 is larger than the padded image (images [2, 3, 4, 5]) with padding 1x1");
  EXPECT_ERROR(augment_images(images, {.padding = 4, .reflect = true}), ShapeError,
               "augment_images: padding 4x4 mirrors more than there is, expected less than the image (images [2, 3, 4, "
               "5])");
  for (const double flip : {-0.5, 1.5}) EXPECT_THROW(augment_images(images, {.flip = flip}), ArgumentError);
  EXPECT_ERROR(augment_images(images, {.flip = 2}), ArgumentError, "augment_images: flip is 2, expected 0 to 1");
  EXPECT_ERROR(augment_images(images, {.mean = {1}}), ArgumentError,
               "augment_images: mean has 1 values, expected one for each of 3 channels (images [2, 3, 4, 5])");
  EXPECT_ERROR(augment_images(images, {.deviation = {1, 0, 1}}), ArgumentError,
               "augment_images: deviation is [1, 0, 1], expected positive numbers");
  EXPECT_ERROR(augment_images(images, zeros({1}), {}), DTypeError,
               "augment_images: indices are float32, expected int64 (indices [1])");
  EXPECT_ERROR(augment_images(images, zeros({1, 1}, i64), {}), ShapeError,
               "augment_images: indices has 2 dimensions, expected 1 (indices [1, 1])");
  for (const int64_t bad : {-1, 2})
    EXPECT_ERROR(augment_images(images, tensor({0, static_cast<double>(bad)}, {2}, i64)), IndexError,
                 "augment_images: index " + std::to_string(bad) + " at position 1, expected 0 <= index < 2");
}

#ifdef DNN_TEST_SIMT
TEST(AugmentImages, ABadIndexOnAGpuThrowsAtTheNextWait) {
  const Device gpu = test_device();
  const Tensor images = zeros({2, 3, 4, 5}, {.dtype = DType::uint8, .device = gpu});
  const Tensor y = augment_images(images, tensor({0, 2}, {2}, {.dtype = DType::int64, .device = gpu}));
  EXPECT_ERROR(synchronize(gpu), IndexError, "augment_images: index 2 at position 1, expected 0 <= index < 2");
  const Tensor far = augment_images(images, from_values(std::vector<int64_t>{1, INT64_MAX, INT64_MIN}, {3}).to(gpu));
  EXPECT_ERROR(synchronize(gpu), IndexError,
               "augment_images: index 2147483647 (or beyond) at position 1, expected 0 <= index < 2");
}
#endif

}  // namespace
}  // namespace dnn::test
