// Pooling.
#include "dnn/ops/pool.h"

#include <cmath>

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

const Rows rows{row("max_pool2d", max_pool2d, true), row("avg_pool2d", avg_pool2d, false)};

}  // namespace
}  // namespace dnn::test
