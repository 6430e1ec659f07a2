// Transforms against torchvision with the same parameters; transforms.py has the same cases.
#include "dnn/data/transforms.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "data/transforms/color.h"
#include "data/transforms/resample.h"
#include "dnn/state_dict.h"
#include "tests/torch/vectors.h"

namespace dnn::test {
namespace {

Tensor image(const Shape& shape) { return hashed(shape, 0, 0, 1).to(DType::float32); }
const Tensor rgb = image({3, 9, 12}), small = image({2, 5, 4}), gray = image({1, 7, 6});
const std::vector<float> colors{0.5f, 0.25f, 1};

std::set<std::string>& compared() {
  static std::set<std::string> names;
  return names;
}

void expect_recorded(const std::string& name, const Tensor& actual) {
  compared().insert(name);
  const Tensor expected = recording("transforms").at(name);
  ASSERT_EQ(actual.shape(), expected.shape()) << name;
  EXPECT_LT(relative_l2(actual, expected), 1e-6) << name;
  const auto a = actual.to_vector<float>(), e = expected.to_vector<float>();
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], e[i], 2e-5) << name << " at " << i;
}

Tensor apply(const Transform& transform, const Tensor& input) {
  Sample sample{input, {}};
  Generator generator(0);
  transform(sample, generator);
  return sample.input;
}

Tensor adjusted(void (*adjust)(const Tensor&, double), const Tensor& input, double by) {
  const Tensor copy = input.clone();
  adjust(copy, by);
  return copy;
}

void compare_resizing() {
  expect_recorded("resize.down", apply(Resize({4, 5}), rgb));
  expect_recorded("resize.up", apply(Resize({11, 7}), small));
  expect_recorded("resize.mixed", apply(Resize({20, 5}), rgb));
  expect_recorded("resize.plain", apply(Resize({4, 5}, {.antialias = false}), rgb));
  expect_recorded("resize.nearest", apply(Resize({4, 17}, {.nearest = true}), rgb));
  expect_recorded("resize.shorter", apply(Resize(5), rgb));
  expect_recorded("resize.shorter_width", apply(Resize(3), small));
  expect_recorded("resized_crop", detail::resize(rgb, {2, 3, 6, 7}, {4, 9}, {}));
}

void compare_cropping() {
  expect_recorded("center_crop", apply(CenterCrop({4, 7}), rgb));
  expect_recorded("center_crop.larger", apply(CenterCrop({8, 3}), small));
  const std::vector<float> zero{0};
  const auto padded = [&](PaddingMode mode) {
    return detail::crop(small, {-2, -3, 9, 10}, mode, detail::Fill("pad", zero, small));
  };
  expect_recorded("pad.reflect", padded(PaddingMode::reflect));
  expect_recorded("pad.edge", padded(PaddingMode::edge));
  expect_recorded("pad.symmetric", padded(PaddingMode::symmetric));
  expect_recorded("hflip", apply(RandomHorizontalFlip(1), rgb));
  expect_recorded("vflip", apply(RandomVerticalFlip(1), rgb));
}

void compare_colors() {
  expect_recorded("normalize", apply(Normalize({.mean = {0.1f, 0.2f, 0.3f}, .deviation = {0.5f, 0.25f, 2}}), rgb));
  for (const std::string factor : {"0.0", "0.6", "1.0", "1.7"}) {
    expect_recorded("brightness." + factor, adjusted(detail::adjust_brightness, rgb, std::stod(factor)));
    expect_recorded("contrast." + factor, adjusted(detail::adjust_contrast, rgb, std::stod(factor)));
    expect_recorded("saturation." + factor, adjusted(detail::adjust_saturation, rgb, std::stod(factor)));
  }
  expect_recorded("contrast.gray", adjusted(detail::adjust_contrast, gray, 0.5));
  for (const std::string turn : {"-0.5", "-0.1", "0.0", "0.3"})
    expect_recorded("hue." + turn, adjusted(detail::adjust_hue, rgb, std::stod(turn)));
  expect_recorded("hue.gray_pixels", adjusted(detail::adjust_hue, gray.expand({3, 7, 6}), 0.2));
  expect_recorded("grayscale", apply(Grayscale(), rgb));
  expect_recorded("blur", apply(GaussianBlur({3, 5}, {1.3, 1.3}), rgb));
}

void compare_warping() {
  const detail::Fill fill("warp", colors, rgb);
  const auto affine = [&](double angle, double x, double y, double scale, double shear_x, double shear_y,
                          bool nearest = false) {
    return detail::affine(rgb, detail::inverse_affine(angle, x, y, scale, shear_x, shear_y), nearest, fill);
  };
  expect_recorded("affine.rotate", affine(30, 0, 0, 1, 0, 0));
  expect_recorded("affine.shift", affine(0, 3, -2, 1, 0, 0));
  expect_recorded("affine.scale", affine(0, 0, 0, 0.7, 0, 0));
  expect_recorded("affine.shear", affine(0, 0, 0, 1, 20, -15));
  expect_recorded("affine.all", affine(-70, 1, 2, 1.4, 10, 25));
  expect_recorded("affine.nearest", affine(30.5, 1, 2, 0.9, 5, 0, true));
  const Tensor moves = hashed({2, 9, 12}, 1, -3, 3).to(DType::float32);
  const float* down = moves.data<float>();
  expect_recorded("displace", detail::displace(rgb, down, down + 9 * 12, fill));
}

TEST(Transforms, ComputeWhatTorchvisionDoes) {
  compare_resizing();
  compare_cropping();
  compare_colors();
  compare_warping();
  for (const auto& [name, tensor] : recording("transforms")) EXPECT_TRUE(compared().contains(name)) << name;
}

}  // namespace
}  // namespace dnn::test
