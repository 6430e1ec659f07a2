// Dropout. The reference draws the mask from the published generator itself.
#include "dnn/ops/dropout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "dnn/ops/factory.h"
#include "dnn/random.h"
#include "tests/harness/errors.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

Array reference(const Array& x, double p) {
  Array y(x.shape);
  const auto threshold = static_cast<uint32_t>(std::min(0x1p32 - 1, p * 0x1p32));
  for_each_index(x.shape, [&](const Shape& at) {
    // The number of the element, channels innermost for images.
    Shape sizes = x.shape, index = at;
    if (x.shape.rank() == 4) sizes = {sizes[0], sizes[2], sizes[3], sizes[1]}, index = {at[0], at[2], at[3], at[1]};
    uint64_t number = 0;
    for (int64_t d = 0; d < sizes.rank(); ++d)
      number = number * static_cast<uint64_t>(sizes[d]) + static_cast<uint64_t>(index[d]);
    const bool kept = p < 1 && philox(call_seed, 0, number / 4)[number % 4] >= threshold;
    y.at(at) = kept ? x.at(at) / (1 - p) : 0;
  });
  return y;
}

Row dropout_row() {
  Row row{.operation = "dropout"};
  struct Case {
    Shape shape;
    double p = 0.5;
    bool training = true;
  };
  for (const Case& c : {Case{{7, 9}}, Case{{131}, 0.2}, Case{{2, 16, 3, 5}, 0.3}, Case{{2, 3, 5, 3}}, Case{{4, 5}, 0.0},
                        Case{{4, 5}, 1.0}, Case{{4, 5}, 0.5, false}, Case{{}, 0.3}, Case{{1}, 0.1}, Case{{2, 0, 3}}})
    row.sample({.label = c.shape.str() + " p " + std::to_string(c.p) + (c.training ? "" : " inference"),
                .inputs = {Input(c.shape)},
                .function = [=](const Args& x) { return dropout(x[0], {.p = c.p, .training = c.training}); },
                .reference = [=](const std::vector<Array>& x) { return c.training ? reference(x[0], c.p) : x[0]; }});
  return row.transparent();
}

// One word of the generator for each channel of each sample.
Row channel_row(const std::string& name, Tensor (*f)(const Tensor&, const DropoutOptions&),
                const std::vector<Shape>& shapes) {
  Row row{.operation = name};
  for (const Shape& shape : shapes)
    for (const double p : {0.0, 0.4, 1.0})
      row.sample({.label = shape.str() + " p " + std::to_string(p),
                  .inputs = {Input(shape)},
                  .function = [=](const Args& x) { return f(x[0], {.p = p}); },
                  .reference =
                      [=](const std::vector<Array>& x) {
                        const Array mask = reference(Array(Shape{shape[0], shape[1]}, 1), p);
                        Array y(shape);
                        for_each_index(shape, [&](const Shape& at) { y.at(at) = x[0].at(at) * mask(at[0], at[1]); });
                        return y;
                      }});
  return row;
}

const Rows rows{dropout_row(), channel_row("dropout1d", dropout1d, {{4, 5, 3}, {1, 1, 1}, {0, 3, 2}}),
                channel_row("dropout2d", dropout2d, {{4, 5, 2, 3}, {2, 16, 3, 5}, {1, 1, 1, 1}, {0, 3, 2, 2}})};

TEST(DropoutErrors, OfChannels) {
  EXPECT_ERROR(dropout2d(zeros({2, 3, 4})), ShapeError,
               "dropout2d: input has 3 dimensions, expected 4 (input [2, 3, 4])");
  EXPECT_ERROR(dropout1d(zeros({2, 3, 4}), {.p = 2}), ArgumentError,
               "dropout1d: p is 2, expected 0 to 1 (input [2, 3, 4])");
  EXPECT_ERROR(dropout2d({}), ArgumentError, "dropout2d: input is undefined, expected a tensor");
}

}  // namespace
}  // namespace dnn::test
