// Pooling.
#include "dnn/ops/pool.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dnn/ops/factory.h"
#include "tests/harness/errors.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

Array reference(const Array& x, Pool2dOptions o, bool largest) {
  if (o.stride.h == 0) o.stride.h = o.kernel.h;
  if (o.stride.w == 0) o.stride.w = o.kernel.w;
  const Shape& in = x.shape;
  Array y(Shape{in[0], in[1], (in[2] + 2 * o.padding.h - o.kernel.h) / o.stride.h + 1,
                (in[3] + 2 * o.padding.w - o.kernel.w) / o.stride.w + 1});
  for_each_index(y.shape, [&](const Shape& at) {
    double best = -INFINITY, sum = 0;
    int64_t inside = 0;
    for (int64_t r = 0; r < o.kernel.h; ++r)
      for (int64_t s = 0; s < o.kernel.w; ++s) {
        const int64_t row = at[2] * o.stride.h - o.padding.h + r, column = at[3] * o.stride.w - o.padding.w + s;
        if (row < 0 || row >= in[2] || column < 0 || column >= in[3]) continue;
        const double value = x(at[0], at[1], row, column);
        best = std::max(best, value), sum += value, ++inside;
      }
    y.at(at) = largest ? best : sum / static_cast<double>(o.count_include_pad ? o.kernel.h * o.kernel.w : inside);
  });
  return y;
}

Row row(const std::string& name, Tensor (*f)(const Tensor&, const Pool2dOptions&), bool largest) {
  Row result{.operation = name};
  struct Case {
    std::string label;
    Shape input;
    Pool2dOptions options = {};
  };
  for (const Case& c : {
           Case{"2x2", {2, 3, 4, 6}},
           Case{"2x2 with a rest", {2, 3, 5, 7}},
           Case{"3x3 overlapping", {2, 3, 7, 6}, {.kernel = 3, .stride = 2}},
           Case{"3x3 overlapping with a border", {2, 3, 7, 6}, {.kernel = 3, .stride = 2, .padding = 1}},
           Case{"border not counted",
                {2, 3, 7, 6},
                {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false}},
           Case{"step 1", {1, 2, 4, 5}, {.kernel = {2, 3}, .stride = 1, .padding = {1, 1}}},
           Case{"steps beyond the window", {1, 2, 7, 8}, {.kernel = 2, .stride = 3}},
           Case{"the whole image", {2, 3, 4, 5}, {.kernel = {4, 5}}},
           Case{"a window of more than 256 pixels", {1, 1, 18, 17}, {.kernel = 17, .stride = 1}},
           Case{"sixteen channels", {2, 16, 4, 5}},
           Case{"sixteen channels, overlapping with a border", {2, 16, 5, 6}, {.kernel = 3, .stride = 2, .padding = 1}},
           Case{"1x1", {2, 3, 2, 2}, {.kernel = 1}},
           Case{"one element", {1, 1, 1, 1}, {.kernel = 1}},
           Case{"no images", {0, 3, 4, 4}},
           Case{"no channels", {2, 0, 4, 4}},
       })
    result.sample({.label = c.label,
                   .inputs = {Input(c.input)},
                   .function = [=](const Args& x) { return f(x[0], c.options); },
                   .reference = [=](const std::vector<Array>& x) { return reference(x[0], c.options, largest); }});
  return result.transparent();
}

Row adaptive_row(const std::string& name, Tensor (*f)(const Tensor&, Size2), bool largest) {
  Row result{.operation = name};
  struct Case {
    std::string label;
    Shape input;
    Size2 output;
  };
  for (const Case& c : {
           Case{"bins that divide", {2, 3, 4, 6}, {2, 3}},
           Case{"overlapping bins", {2, 3, 5, 7}, {3, 4}},
           Case{"one dimension divides", {2, 3, 6, 7}, {3, 2}},
           Case{"more bins than pixels", {1, 2, 3, 2}, {5, 7}},
           Case{"global", {2, 3, 4, 5}, 1},
           Case{"as it is", {2, 3, 4, 5}, {4, 5}},
           Case{"bins of more than 256 pixels", {1, 1, 33, 35}, 2},
           Case{"sixteen channels", {2, 16, 7, 5}, {3, 2}},
           Case{"sixteen channels, global", {2, 16, 4, 5}, 1},
           Case{"one element", {1, 1, 1, 1}, 1},
           Case{"no images", {0, 3, 4, 4}, 3},
       })
    result.sample(
        {.label = c.label,
         .inputs = {Input(c.input, -1, 3)},  // sums do not cancel
         .function = [=](const Args& x) { return f(x[0], c.output); },
         .reference =
             [=](const std::vector<Array>& inputs) {
               Array y(Shape{c.input[0], c.input[1], c.output.h, c.output.w});
               const auto begin = [](int64_t i, int64_t size, int64_t bins) { return i * size / bins; };
               const auto end = [](int64_t i, int64_t size, int64_t bins) {
                 return static_cast<int64_t>(
                     std::ceil(static_cast<double>((i + 1) * size) / static_cast<double>(bins)));
               };
               for_each_index(y.shape, [&](const Shape& at) {
                 double best = -INFINITY, sum = 0;
                 int64_t count = 0;
                 for (int64_t h = begin(at[2], c.input[2], c.output.h); h < end(at[2], c.input[2], c.output.h); ++h)
                   for (int64_t w = begin(at[3], c.input[3], c.output.w); w < end(at[3], c.input[3], c.output.w); ++w) {
                     const double value = inputs[0](at[0], at[1], h, w);
                     best = std::max(best, value), sum += value, ++count;
                   }
                 y.at(at) = largest ? best : sum / static_cast<double>(count);
               });
               return y;
             }});
  return result.transparent().within(4, 4);
}

Row sequence_row(const std::string& name, Tensor (*f)(const Tensor&, const Pool1dOptions&), bool largest) {
  Row result{.operation = name};
  struct Case {
    std::string label;
    Shape input;
    Pool1dOptions options = {};
  };
  for (const Case& c : {
           Case{"pairs", {2, 3, 7}},
           Case{"overlapping with a border", {2, 3, 8}, {.kernel = 3, .stride = 2, .padding = 1}},
           Case{"border not counted", {2, 3, 8}, {.kernel = 3, .padding = 1, .count_include_pad = false}},
           Case{"sixteen channels", {2, 16, 6}},
           Case{"one element", {1, 1, 1}, {.kernel = 1}},
           Case{"no sequences", {0, 3, 4}},
       })
    result.sample({.label = c.label,
                   .inputs = {Input(c.input)},
                   .function = [=](const Args& x) { return f(x[0], c.options); },
                   .reference =
                       [=](const std::vector<Array>& x) {
                         const Pool1dOptions& o = c.options;
                         const auto with_height = [](const Shape& s) { return Shape{s[0], s[1], 1, s[2]}; };
                         Array image(with_height(x[0].shape));
                         image.values = x[0].values;
                         const Array y = reference(image,
                                                   {.kernel = Size2(1, o.kernel),
                                                    .stride = Size2(1, o.stride),
                                                    .padding = Size2(0, o.padding),
                                                    .count_include_pad = o.count_include_pad},
                                                   largest);
                         Array flat(y.shape.without(2));
                         flat.values = y.values;
                         return flat;
                       }});
  return result;
}

const Rows rows{row("max_pool2d", max_pool2d, true),
                row("avg_pool2d", avg_pool2d, false),
                adaptive_row("adaptive_max_pool2d", adaptive_max_pool2d, true),
                adaptive_row("adaptive_avg_pool2d", adaptive_avg_pool2d, false),
                sequence_row("max_pool1d", max_pool1d, true),
                sequence_row("avg_pool1d", avg_pool1d, false)};

TEST(PoolErrors, AdaptiveAndSequences) {
  EXPECT_ERROR(adaptive_avg_pool2d(zeros({2, 3, 4, 4}), {2, 0}), ArgumentError,
               "adaptive_avg_pool2d: output is 2x0, expected at least 1 (input [2, 3, 4, 4])");
  EXPECT_ERROR(adaptive_max_pool2d(zeros({2, 3, 0, 4}), 2), ShapeError,
               "adaptive_max_pool2d: the image has no pixels, expected at least one (input [2, 3, 0, 4])");
  EXPECT_ERROR(adaptive_avg_pool2d(zeros({3, 4, 4}), 1), ShapeError,
               "adaptive_avg_pool2d: input has 3 dimensions, expected 4 (input [3, 4, 4])");
  EXPECT_ERROR(max_pool1d(zeros({2, 3})), ShapeError, "max_pool1d: input has 2 dimensions, expected 3 (input [2, 3])");
  EXPECT_ERROR(avg_pool1d(zeros({2, 3, 4}), {.kernel = 5}), ShapeError,
               "avg_pool1d: the window 1x5 is larger than the padded input (input [2, 3, 1, 4], padding 0x0)");
}

}  // namespace
}  // namespace dnn::test
