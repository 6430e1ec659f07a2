// Convolution.
#include "dnn/ops/conv.h"

#include "tests/harness/activation.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

struct Case {
  std::string label;
  Shape input, weight;
  Conv2dOptions options = {};
  bool bias = true, add = false;
};

Shape output_shape(const Case& c) {
  const auto size = [](int64_t input, int64_t padding, int64_t dilation, int64_t taps, int64_t stride) {
    return (input + 2 * padding - dilation * (taps - 1) - 1) / stride + 1;
  };
  const Conv2dOptions& o = c.options;
  return {c.input[0], c.weight[0], size(c.input[2], o.padding.h, o.dilation.h, c.weight[2], o.stride.h),
          size(c.input[3], o.padding.w, o.dilation.w, c.weight[3], o.stride.w)};
}

// The definition, seven loops deep.
Array reference(const Case& c, const std::vector<Array>& inputs) {
  const Array &x = inputs[0], &w = inputs[1];
  const Conv2dOptions& o = c.options;
  Array y(output_shape(c));
  const int64_t channels = c.weight[1], filters_per_group = c.weight[0] / o.groups;
  for_each_index(y.shape, [&](const Shape& at) {
    double sum = c.bias ? inputs[2](at[1]) : 0;
    const int64_t group = at[1] / filters_per_group;
    for (int64_t channel = 0; channel < channels; ++channel)
      for (int64_t r = 0; r < c.weight[2]; ++r)
        for (int64_t s = 0; s < c.weight[3]; ++s) {
          const int64_t row = at[2] * o.stride.h - o.padding.h + r * o.dilation.h;
          const int64_t column = at[3] * o.stride.w - o.padding.w + s * o.dilation.w;
          if (row < 0 || row >= c.input[2] || column < 0 || column >= c.input[3]) continue;
          sum += x(at[0], group * channels + channel, row, column) * w(at[1], channel, r, s);
        }
    if (c.add) sum += inputs[c.bias ? 3 : 2].at(at);
    y.at(at) = activated(sum, o.activation);
  });
  return y;
}

Sample sample(const Case& c) {
  std::vector<Input> inputs{Input(c.input), Input(c.weight).parameter()};
  if (c.bias) inputs.push_back(Input({c.weight[0]}).parameter());
  if (c.add) inputs.push_back(Input(output_shape(c)));
  return {.label = c.label,
          .inputs = inputs,
          .function =
              [c](const Args& x) {
                Conv2dOptions options = c.options;
                if (c.add) options.add = x[c.bias ? 3 : 2];
                return conv2d(x[0], x[1], c.bias ? x[2] : Tensor(), options);
              },
          .reference = [c](const std::vector<Array>& x) { return reference(c, x); }};
}

Row conv2d_row() {
  Row row{.operation = "conv2d"};
  for (const Case& c : {
           Case{"3x3", {2, 3, 5, 6}, {4, 3, 3, 3}},
           Case{"no bias", {2, 3, 5, 6}, {4, 3, 3, 3}, {}, false},
           Case{"1x1", {2, 3, 4, 5}, {5, 3, 1, 1}},
           Case{"padding", {2, 2, 4, 5}, {3, 2, 3, 3}, {.padding = 1}},
           Case{"stride and padding, the filter does not reach the border",
                {1, 2, 8, 7},
                {3, 2, 3, 3},
                {.stride = {3, 2}, .padding = {0, 1}}},
           Case{"uneven everything",
                {1, 2, 7, 6},
                {3, 2, 3, 2},
                {.stride = {2, 1}, .padding = {2, 0}, .dilation = {1, 2}}},
           Case{"dilation", {1, 2, 7, 7}, {2, 2, 3, 3}, {.padding = 2, .dilation = 2}},
           Case{"groups", {2, 4, 4, 4}, {6, 2, 3, 3}, {.padding = 1, .groups = 2}},
           Case{"depthwise", {2, 4, 4, 4}, {4, 1, 3, 3}, {.padding = 1, .groups = 4}},
           Case{"one filter over the whole image", {2, 3, 4, 4}, {5, 3, 4, 4}},
           Case{"padding beyond the filter", {1, 1, 2, 2}, {1, 1, 2, 2}, {.padding = 3}},
           Case{"relu", {2, 3, 5, 5}, {4, 3, 3, 3}, {.padding = 1, .activation = Activation::relu}},
           Case{"add and relu", {2, 3, 5, 5}, {4, 3, 3, 3}, {.padding = 1, .activation = Activation::relu}, true, true},
           Case{"add and gelu",
                {2, 3, 5, 5},
                {4, 3, 3, 3},
                {.padding = 1, .activation = Activation::gelu_tanh},
                true,
                true},
           Case{"add, no bias", {2, 3, 5, 5}, {4, 3, 3, 3}, {.padding = 1}, false, true},
           Case{"sixteen channels", {2, 16, 4, 3}, {16, 16, 3, 3}, {.padding = 1}},
           Case{"sixteen channels, add and relu",
                {2, 16, 3, 3},
                {32, 16, 1, 1},
                {.activation = Activation::relu},
                true,
                true},
           Case{"sixteen channels, stride", {1, 16, 5, 5}, {8, 16, 3, 3}, {.stride = 2, .padding = 1}},
           Case{"sixteen channels in two groups", {1, 16, 4, 4}, {16, 8, 3, 3}, {.padding = 1, .groups = 2}},
           Case{"one channel, two tiles of pixels", {2, 1, 6, 29}, {6, 1, 5, 5}, {.padding = 2}},
           Case{"one channel, relu", {2, 1, 9, 7}, {3, 1, 3, 3}, {.activation = Activation::relu}},
           Case{"six channels, sixteen filters", {2, 6, 7, 9}, {16, 6, 5, 5}, {.activation = Activation::relu}},
           Case{"three channels, twelve filters, stride",
                {2, 3, 9, 10},
                {12, 3, 3, 4},
                {.stride = {2, 3}, .padding = 1}},
           Case{"five channels, dilation", {1, 5, 9, 11}, {7, 5, 3, 3}, {.padding = 2, .dilation = {2, 3}}},
           Case{"eight channels, twelve filters, no bias", {2, 8, 5, 6}, {12, 8, 3, 3}, {.padding = 1}, false},
           Case{"one element", {1, 1, 1, 1}, {1, 1, 1, 1}},
           Case{"no images", {0, 3, 5, 5}, {4, 3, 3, 3}},
           Case{"no images, add and relu", {0, 3, 5, 5}, {4, 3, 3, 3}, {.activation = Activation::relu}, true, true},
       })
    row.sample(sample(c));
  return row.within(8, 12);
}

const Rows rows{conv2d_row()};

}  // namespace
}  // namespace dnn::test
