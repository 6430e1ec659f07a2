// Transposed convolution, and the convolution of sequences.
#include <gtest/gtest.h>

#include "dnn/ops/conv.h"
#include "dnn/ops/factory.h"
#include "tests/harness/errors.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

struct Case {
  std::string label;
  Shape input, weight;
  ConvTranspose2dOptions options = {};
  bool bias = true;
};

// The definition: every input pixel adds its filter to the output.
Array reference(const Case& c, const std::vector<Array>& inputs) {
  const Array &x = inputs[0], &w = inputs[1];
  const ConvTranspose2dOptions& o = c.options;
  const auto size = [](int64_t in, int64_t stride, int64_t padding, int64_t dilation, int64_t taps, int64_t more) {
    return (in - 1) * stride - 2 * padding + dilation * (taps - 1) + more + 1;
  };
  Array y(Shape{c.input[0], c.weight[1] * o.groups,
                size(c.input[2], o.stride.h, o.padding.h, o.dilation.h, c.weight[2], o.output_padding.h),
                size(c.input[3], o.stride.w, o.padding.w, o.dilation.w, c.weight[3], o.output_padding.w)});
  for_each_index(y.shape, [&](const Shape& at) { y.at(at) = c.bias ? inputs[2](at[1]) : 0; });
  const int64_t channels_per_group = c.input[1] / o.groups;
  for_each_index(c.input, [&](const Shape& at) {
    for (int64_t k = 0; k < c.weight[1]; ++k)
      for (int64_t r = 0; r < c.weight[2]; ++r)
        for (int64_t s = 0; s < c.weight[3]; ++s) {
          const int64_t row = at[2] * o.stride.h - o.padding.h + r * o.dilation.h;
          const int64_t column = at[3] * o.stride.w - o.padding.w + s * o.dilation.w;
          if (row < 0 || row >= y.shape[2] || column < 0 || column >= y.shape[3]) continue;
          y(at[0], at[1] / channels_per_group * c.weight[1] + k, row, column) += x.at(at) * w(at[1], k, r, s);
        }
  });
  return y;
}

Row conv_transpose2d_row() {
  Row row{.operation = "conv_transpose2d"};
  for (const Case& c : {
           Case{"3x3", {2, 3, 4, 5}, {3, 4, 3, 3}},
           Case{"no bias", {2, 3, 4, 5}, {3, 4, 3, 3}, {}, false},
           Case{"twice as large", {2, 4, 3, 3}, {4, 2, 2, 2}, {.stride = 2}},
           Case{"output padding", {2, 3, 3, 4}, {3, 2, 3, 3}, {.stride = 2, .padding = 1, .output_padding = 1}},
           Case{"uneven everything",
                {1, 2, 3, 4},
                {2, 3, 3, 2},
                {.stride = {3, 2}, .padding = {1, 0}, .output_padding = {2, 1}, .dilation = {1, 2}}},
           Case{"dilation", {1, 2, 4, 4}, {2, 2, 3, 3}, {.padding = 1, .dilation = 2}},
           Case{"groups", {2, 4, 3, 3}, {4, 3, 3, 3}, {.stride = 2, .padding = 1, .groups = 2}},
           Case{"depthwise", {2, 4, 3, 3}, {4, 1, 4, 4}, {.stride = 2, .padding = 1, .groups = 4}},
           Case{"steps beyond the filter", {1, 2, 3, 3}, {2, 2, 1, 2}, {.stride = 3}},
           Case{"sixteen channels", {2, 16, 3, 4}, {16, 16, 4, 4}, {.stride = 2, .padding = 1}},
           Case{"sixteen channels to three", {2, 16, 3, 4}, {16, 3, 3, 3}, {.padding = 1}},
           Case{"1x1", {2, 3, 4, 5}, {3, 5, 1, 1}},
           Case{"one element", {1, 1, 1, 1}, {1, 1, 1, 1}},
           Case{"no images", {0, 3, 4, 4}, {3, 2, 3, 3}},
       }) {
    std::vector<Input> inputs{Input(c.input), Input(c.weight).parameter()};
    if (c.bias) inputs.push_back(Input({c.weight[1] * c.options.groups}).parameter());
    row.sample(
        {.label = c.label,
         .inputs = inputs,
         .function = [=](const Args& x) { return conv_transpose2d(x[0], x[1], c.bias ? x[2] : Tensor(), c.options); },
         .reference = [=](const std::vector<Array>& x) { return reference(c, x); }});
  }
  return row.within(8, 12);
}

Row conv1d_row() {
  struct Sequences {
    std::string label;
    Shape input, weight;
    Conv1dOptions options = {};
    bool bias = true;
  };
  Row row{.operation = "conv1d"};
  for (const Sequences& c : {
           Sequences{"three taps", {2, 3, 8}, {4, 3, 3}},
           Sequences{"no bias", {2, 3, 8}, {4, 3, 3}, {}, false},
           Sequences{"stride and padding", {2, 3, 9}, {4, 3, 3}, {.stride = 2, .padding = 1}},
           Sequences{"dilation", {2, 3, 9}, {4, 3, 3}, {.padding = 2, .dilation = 2}},
           Sequences{"groups", {2, 4, 8}, {6, 2, 3}, {.padding = 1, .groups = 2}},
           Sequences{"sixteen channels", {2, 16, 12}, {16, 16, 3}, {.padding = 1}},
           Sequences{"one element", {1, 1, 1}, {1, 1, 1}},
           Sequences{"no sequences", {0, 3, 8}, {4, 3, 3}},
       }) {
    std::vector<Input> inputs{Input(c.input), Input(c.weight).parameter()};
    if (c.bias) inputs.push_back(Input({c.weight[0]}).parameter());
    row.sample(
        {.label = c.label,
         .inputs = inputs,
         .function = [=](const Args& x) { return conv1d(x[0], x[1], c.bias ? x[2] : Tensor(), c.options); },
         .reference =
             [=](const std::vector<Array>& x) {
               const Conv1dOptions& o = c.options;
               Array y(Shape{c.input[0], c.weight[0],
                             (c.input[2] + 2 * o.padding - o.dilation * (c.weight[2] - 1) - 1) / o.stride + 1});
               for_each_index(y.shape, [&](const Shape& at) {
                 double sum = c.bias ? x[2](at[1]) : 0;
                 for (int64_t channel = 0; channel < c.weight[1]; ++channel)
                   for (int64_t tap = 0; tap < c.weight[2]; ++tap) {
                     const int64_t position = at[2] * o.stride - o.padding + tap * o.dilation;
                     const int64_t group = at[1] / (c.weight[0] / o.groups);
                     if (position < 0 || position >= c.input[2]) continue;
                     sum += x[0].at({at[0], group * c.weight[1] + channel, position}) * x[1].at({at[1], channel, tap});
                   }
                 y.at(at) = sum;
               });
               return y;
             }});
  }
  return row.within(8, 12);
}

Row pixel_shuffle_row() {
  Row row{.operation = "pixel_shuffle"};
  for (const auto& [input, factor] : {std::pair{Shape{2, 12, 3, 2}, 2},
                                      {Shape{1, 9, 2, 4}, 3},
                                      {Shape{2, 16, 3, 3}, 4},
                                      {Shape{2, 3, 4, 4}, 1},
                                      {Shape{1, 1, 1, 1}, 1},
                                      {Shape{0, 4, 2, 2}, 2}})
    row.sample({.label = input.str() + " by " + std::to_string(factor),
                .inputs = {Input(input)},
                .function = [r = factor](const Args& x) { return pixel_shuffle(x[0], r); },
                .reference =
                    [r = int64_t{factor}](const std::vector<Array>& x) {
                      const Shape& in = x[0].shape;
                      Array y(Shape{in[0], in[1] / (r * r), in[2] * r, in[3] * r});
                      for_each_index(y.shape, [&](const Shape& at) {
                        const int64_t channel = at[1] * r * r + at[2] % r * r + at[3] % r;
                        y.at(at) = x[0](at[0], channel, at[2] / r, at[3] / r);
                      });
                      return y;
                    }});
  return row.with_integers();
}

const Rows rows{conv_transpose2d_row(), conv1d_row(), pixel_shuffle_row()};

TEST(ConvTransposeErrors, AreNamed) {
  const Tensor x = zeros({2, 4, 5, 5}), w = zeros({4, 3, 3, 3});
  EXPECT_ERROR(conv_transpose2d(Tensor(), w), ArgumentError, "conv_transpose2d: input is undefined, expected a tensor");
  EXPECT_ERROR(conv_transpose2d(zeros({4, 5, 5}), w), ShapeError,
               "conv_transpose2d: input has 3 dimensions, expected 4 (input [4, 5, 5])");
  EXPECT_ERROR(conv_transpose2d(x, zeros({3, 4, 3, 3})), ShapeError,
               "conv_transpose2d: input has 4 channels, weight expects 3 (input [2, 4, 5, 5], weight [3, 4, 3, 3], "
               "groups 1)");
  EXPECT_ERROR(conv_transpose2d(x, w, {}, {.groups = 3}), ShapeError,
               "conv_transpose2d: 4 channels do not split into 3 groups (input [2, 4, 5, 5], weight [4, 3, 3, 3], "
               "groups 3)");
  EXPECT_ERROR(conv_transpose2d(x, zeros({4, 0, 3, 3})), ShapeError,
               "conv_transpose2d: a size is 0, expected pixels, filters and channels (input [2, 4, 5, 5], weight "
               "[4, 0, 3, 3], groups 1)");
  EXPECT_ERROR(
      conv_transpose2d(x, w, zeros({4})), ShapeError,
      "conv_transpose2d: bias has shape [4], expected [3] (input [2, 4, 5, 5], weight [4, 3, 3, 3], groups 1)");
  EXPECT_ERROR(conv_transpose2d(x, w, {}, {.padding = 4}), ShapeError,
               "conv_transpose2d: the padding 4x4 leaves no pixel, the output would be -1x-1 (input [2, 4, 5, 5], "
               "weight [4, 3, 3, 3], groups 1)");
  EXPECT_ERROR(conv_transpose2d(x, w, {}, {.stride = 2, .output_padding = {1, 2}}), ArgumentError,
               "conv_transpose2d: output_padding is 1x2, expected less than the stride 2x2");
  EXPECT_ERROR(conv_transpose2d(x, w, {}, {.stride = 0}), ArgumentError,
               "conv_transpose2d: stride is 0x0, expected 1 to 2147483647");
  EXPECT_ERROR(conv_transpose2d(x, w, {}, {.groups = 0}), ArgumentError,
               "conv_transpose2d: groups is 0, expected at least 1");
}

TEST(PixelShuffleErrors, AreNamed) {
  EXPECT_ERROR(pixel_shuffle(zeros({4, 2, 2}), 2), ShapeError,
               "pixel_shuffle: input has 3 dimensions, expected 4 (input [4, 2, 2])");
  EXPECT_ERROR(pixel_shuffle(zeros({1, 6, 2, 2}), 2), ShapeError,
               "pixel_shuffle: 6 channels do not split into 2x2 pixels (input [1, 6, 2, 2])");
  EXPECT_ERROR(pixel_shuffle(zeros({1, 4, 2, 2}), 0), ArgumentError,
               "pixel_shuffle: factor is 0, expected 1 to 2147483647 (input [1, 4, 2, 2])");
}

TEST(Conv1dErrors, AreNamed) {
  EXPECT_ERROR(conv1d(zeros({3, 8}), zeros({4, 3, 3})), ShapeError,
               "conv1d: input has 2 dimensions, expected 3 (input [3, 8])");
  EXPECT_ERROR(conv1d(zeros({2, 3, 8}), zeros({4, 3})), ShapeError,
               "conv1d: weight has 2 dimensions, expected 3 (weight [4, 3])");
  EXPECT_ERROR(conv1d(zeros({2, 4, 8}), zeros({4, 3, 3})), ShapeError,
               "conv1d: input has 4 channels, weight expects 3 (input [2, 4, 1, 8], weight [4, 3, 1, 3], groups 1)");
  EXPECT_ERROR(conv1d(zeros({2, 3, 8}), zeros({4, 3, 3}), {}, {.stride = 0}), ArgumentError,
               "conv1d: stride is 1x0, expected 1 to 2147483647");
}

}  // namespace
}  // namespace dnn::test
