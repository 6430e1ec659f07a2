// Batch normalisation with max pooling behind it.
#include <gtest/gtest.h>

#include <cmath>

#include "dnn/ops.h"
#include "tests/harness/activation.h"
#include "tests/harness/errors.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

struct Case {
  std::string label;
  Shape input;
  BatchNormOptions norm = {.activation = Activation::relu};
  Pool2dOptions pool = {.kernel = 3, .stride = 2, .padding = 1};
  bool add = false;
};

// Inputs: x, weight, bias, running mean, running variance, add.
Array reference(const Case& c, const std::vector<Array>& inputs) {
  const Array& x = inputs[0];
  Array y(c.input);
  for (int64_t channel = 0; channel < c.input[1]; ++channel) {
    double sum = 0, squares = 0, count = 0;
    for_each_index(c.input, [&](const Shape& at) {
      if (at[1] == channel) sum += x.at(at), ++count;
    });
    for_each_index(c.input, [&](const Shape& at) {
      if (at[1] == channel) squares += (x.at(at) - sum / count) * (x.at(at) - sum / count);
    });
    const double mean = c.norm.training ? sum / count : inputs[3][channel];
    const double variance = c.norm.training ? squares / count : inputs[4][channel];
    for_each_index(c.input, [&](const Shape& at) {
      if (at[1] != channel) return;
      const double value = (x.at(at) - mean) / std::sqrt(variance + c.norm.eps) * inputs[1][channel] +
                           inputs[2][channel] + (c.add ? inputs[5].at(at) : 0);
      y.at(at) = activated(value, c.norm.activation);
    });
  }
  const auto pooled = [&](int64_t size) {
    return (size + 2 * c.pool.padding.h - c.pool.kernel.h) / c.pool.stride.h + 1;
  };
  Array result(Shape{c.input[0], c.input[1], pooled(c.input[2]), pooled(c.input[3])});
  for_each_index(result.shape, [&](const Shape& at) {
    double best = -INFINITY;
    for (int64_t i = 0; i < c.pool.kernel.h * c.pool.kernel.w; ++i) {
      const int64_t row = at[2] * c.pool.stride.h - c.pool.padding.h + i / c.pool.kernel.w;
      const int64_t column = at[3] * c.pool.stride.w - c.pool.padding.w + i % c.pool.kernel.w;
      if (row < 0 || row >= c.input[2] || column < 0 || column >= c.input[3]) continue;
      best = std::max(best, y(at[0], at[1], row, column));
    }
    result.at(at) = best;
  });
  return result;
}

Sample sample(const Case& c) {
  const Shape channels{c.input[1]};
  std::vector<Input> inputs{Input(c.input, -2, 3), Input(channels, 0.5, 2).wide(), Input(channels).wide(),
                            Input(channels).wide().constant(), Input(channels, 0.5, 2).wide().constant()};
  if (c.add) inputs.push_back(Input(c.input));
  return {.label = c.label,
          .inputs = inputs,
          .function =
              [=](const Args& x) {
                BatchNormOptions norm = c.norm;
                if (c.add) norm.add = x[5];
                return batch_norm_max_pool2d(x[0], x[1].contiguous(), x[2].contiguous(), x[3].clone(), x[4].clone(),
                                             norm, c.pool);
              },
          .reference = [=](const std::vector<Array>& x) { return reference(c, x); }};
}

// In float32 alone: which element of a window is the largest depends on how narrow types are rounded.
Row row() {
  Row row{.operation = "batch_norm_max_pool2d", .floating = {DType::float32}};
  for (const Case& c :
       {Case{"training", {2, 4, 7, 6}}, Case{"channels that fill no pack", {2, 3, 7, 6}},
        Case{"sixteen channels", {2, 16, 5, 6}},
        Case{"windows beside each other", {2, 8, 6, 4}, {.activation = Activation::relu}, {.kernel = 2, .stride = 2}},
        Case{"without activation", {2, 4, 5, 5}, {.activation = Activation::none}},
        Case{"add", {2, 4, 5, 5}, {.activation = Activation::relu}, {.kernel = 2, .stride = 2}, true},
        Case{"inference", {2, 4, 5, 5}, {.training = false, .activation = Activation::relu}}})
    row.sample(sample(c));
  return row.transparent()
      .within(16, 64)
      .without("expanded", "a batch that repeats one sample has no variance to divide by")
      .never_empty("training needs two values per channel")
      .never_single("training needs two values per channel");
}

const Rows rows{row()};

TEST(BatchNormMaxPool, ThrowsLikeTheTwo) {
  const Tensor one = ones({3});
  const auto call = [&](const Tensor& x, const Pool2dOptions& pool) {
    return batch_norm_max_pool2d(x, one, one, one, one, {.activation = Activation::relu}, pool);
  };
  EXPECT_ERROR(call(zeros({2, 3}), {}), ShapeError,
               "batch_norm_max_pool2d: input has 2 dimensions, expected 4, [n, c, h, w] (input [2, 3])");
  EXPECT_ERROR(call(zeros({2, 4, 5, 5}), {}), ShapeError,
               "batch_norm: weight has shape [3], expected [4] (input [2, 4, 5, 5])");
  EXPECT_ERROR(call(zeros({2, 3, 5, 5}), {.kernel = 0}), ArgumentError,
               "max_pool2d: kernel is 0x0, expected at least 1 (input [2, 3, 5, 5], kernel 0x0)");
}

}  // namespace
}  // namespace dnn::test
