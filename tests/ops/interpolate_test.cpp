// Interpolation of images.
#include "dnn/ops/interpolate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "dnn/ops/factory.h"
#include "tests/harness/errors.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

// The value at a place between pixels, of whose coordinates those outside count as the border's.
double between(const Array& x, int64_t n, int64_t c, double row, double column) {
  const auto pixel = [&](double h, double w) {
    return x(n, c, std::clamp(static_cast<int64_t>(h), int64_t{0}, x.shape[2] - 1),
             std::clamp(static_cast<int64_t>(w), int64_t{0}, x.shape[3] - 1));
  };
  const double top = std::floor(row), left = std::floor(column), down = row - top, right = column - left;
  return (1 - down) * ((1 - right) * pixel(top, left) + right * pixel(top, left + 1)) +
         down * ((1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1));
}

Array reference(const Array& x, const InterpolateOptions& o) {
  const Shape& in = x.shape;
  Size2 size = o.size;
  if (size == Size2(0)) size = {static_cast<int64_t>(in[2] * o.scale.h), static_cast<int64_t>(in[3] * o.scale.w)};
  Array y(Shape{in[0], in[1], size.h, size.w});
  const auto place = [&](int64_t i, int64_t input, int64_t output, double scale) {
    const auto ratio = static_cast<double>(input) / static_cast<double>(output);
    const double step = scale > 0 ? 1 / scale : ratio;
    if (o.mode == Interpolation::nearest)
      return std::min(std::floor(static_cast<double>(i) * step), static_cast<double>(input - 1));
    if (o.align_corners)
      return output == 1 ? 0.0
                         : static_cast<double>(i) * static_cast<double>(input - 1) / static_cast<double>(output - 1);
    return std::max(0.0, (static_cast<double>(i) + 0.5) * step - 0.5);
  };
  for_each_index(y.shape, [&](const Shape& at) {
    y.at(at) = between(x, at[0], at[1], place(at[2], in[2], size.h, o.scale.h), place(at[3], in[3], size.w, o.scale.w));
  });
  return y;
}

Row interpolate_row() {
  Row row{.operation = "interpolate"};
  constexpr Interpolation nearest = Interpolation::nearest, bilinear = Interpolation::bilinear;
  struct Case {
    std::string label;
    Shape input;
    InterpolateOptions options;
  };
  for (const Case& c : {
           Case{"nearest, twice as large", {2, 3, 4, 5}, {.scale = 2}},
           Case{"nearest, to a size", {2, 3, 4, 5}, {.size = {7, 3}}},
           Case{"nearest, by a fraction", {1, 2, 5, 4}, {.scale = {1.7, 0.6}}},
           Case{"nearest, as it is", {1, 2, 3, 4}, {.size = {3, 4}}},
           Case{"bilinear, twice as large", {2, 3, 4, 5}, {.scale = 2, .mode = bilinear}},
           Case{"bilinear, to a size", {2, 3, 4, 5}, {.size = {7, 3}, .mode = bilinear}},
           Case{"bilinear, by a fraction", {1, 2, 5, 4}, {.scale = {1.7, 0.6}, .mode = bilinear}},
           Case{"bilinear, corners", {2, 3, 4, 5}, {.size = {7, 3}, .mode = bilinear, .align_corners = true}},
           Case{"bilinear, corners by a scale", {1, 2, 3, 4}, {.scale = 2, .mode = bilinear, .align_corners = true}},
           Case{"bilinear, one pixel of many", {1, 2, 5, 6}, {.size = 1, .mode = bilinear, .align_corners = true}},
           Case{"many pixels of one", {2, 16, 1, 1}, {.size = {3, 2}, .mode = bilinear}},
           Case{"nearest, sixteen channels", {2, 16, 3, 4}, {.size = {5, 7}}},
           Case{"bilinear, sixteen channels", {2, 16, 3, 4}, {.size = {5, 7}, .mode = bilinear}},
           Case{"bilinear, thirty-two channels, smaller", {1, 32, 6, 5}, {.scale = 0.5, .mode = bilinear}},
           Case{"one element", {1, 1, 1, 1}, {.size = 1, .mode = nearest}},
           Case{"no images", {0, 3, 4, 4}, {.scale = 2}},
           Case{"no channels", {2, 0, 4, 4}, {.scale = 2, .mode = bilinear}},
       })
    row.sample({.label = c.label,
                .inputs = {Input(c.input)},
                .function = [=](const Args& x) { return interpolate(x[0], c.options); },
                .reference = [=](const std::vector<Array>& x) { return reference(x[0], c.options); }});
  return row.transparent().within(4, 4);
}

const Rows rows{interpolate_row()};

TEST(InterpolateErrors, AllOfThem) {
  const Tensor x = zeros({2, 3, 4, 5});
  EXPECT_ERROR(interpolate({}, {.scale = 2}), ArgumentError, "interpolate: input is undefined, expected a tensor");
  EXPECT_ERROR(interpolate(zeros({3, 4, 5}), {.scale = 2}), ShapeError,
               "interpolate: input has 3 dimensions, expected 4 (input [3, 4, 5])");
  EXPECT_ERROR(interpolate(zeros({1, 1, 2, 2}, {.dtype = DType::uint8}), {.scale = 2}), DTypeError,
               "interpolate: input is uint8, expected a floating type (input [1, 1, 2, 2])");
  EXPECT_ERROR(interpolate(x, {}), ArgumentError,
               "interpolate: neither is given, expected either size or scale (size 0x0, scale 0x0, input [2, 3, 4, "
               "5])");
  EXPECT_ERROR(interpolate(x, {.size = {8, 9}, .scale = 2}), ArgumentError,
               "interpolate: both are given, expected either size or scale (size 8x9, scale 2x2, input [2, 3, 4, 5])");
  EXPECT_ERROR(interpolate(x, {.size = {0, 4}}), ArgumentError,
               "interpolate: size is 0x4, expected 1 to 2147483647 (input [2, 3, 4, 5])");
  EXPECT_ERROR(interpolate(x, {.scale = {0.2, 1}}), ArgumentError,
               "interpolate: scale is 0.2x1, expected one that leaves 1 to 2147483647 rows and columns (input [2, 3, "
               "4, 5])");
  EXPECT_ERROR(interpolate(x, {.scale = {-1, std::nan("")}}), ArgumentError,
               "interpolate: scale is -1xnan, expected one that leaves 1 to 2147483647 rows and columns (input [2, 3, "
               "4, 5])");
  EXPECT_ERROR(interpolate(x, {.scale = 2, .align_corners = true}), ArgumentError,
               "interpolate: align_corners is set, expected bilinear mode with it (input [2, 3, 4, 5])");
  EXPECT_ERROR(interpolate(zeros({1, 1, 0, 4}), {.scale = 2}), ShapeError,
               "interpolate: the image has no pixels, expected at least one (input [1, 1, 0, 4])");
}

}  // namespace
}  // namespace dnn::test
