// Convolution with max pooling behind it.
#include <gtest/gtest.h>

#include "dnn/ops/factory.h"
#include "dnn/ops/pool.h"
#include "tests/harness/activation.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

struct Case {
  std::string label;
  Shape input, weight;
  Conv2dOptions conv = {};
  bool bias = true;
  Pool2dOptions pool = {};
};

// The definition: the largest of a window of sums over the filter.
Array reference(const Case& c, const std::vector<Array>& inputs) {
  const Array &x = inputs[0], &w = inputs[1];
  const int64_t stride = c.conv.stride.h, padding = c.conv.padding.h, window = c.pool.kernel.h;
  const auto convolved = [&](int64_t size) { return (size + 2 * padding - c.weight[2]) / stride + 1; };
  const auto pooled = [&](int64_t size) { return (convolved(size) - window) / window + 1; };
  const auto element = [&](int64_t n, int64_t filter, int64_t h, int64_t v) {
    double sum = c.bias ? inputs[2](filter) : 0;
    for (int64_t channel = 0; channel < c.weight[1]; ++channel)
      for (int64_t r = 0; r < c.weight[2]; ++r)
        for (int64_t s = 0; s < c.weight[3]; ++s) {
          const int64_t row = h * stride - padding + r, column = v * stride - padding + s;
          if (row < 0 || row >= c.input[2] || column < 0 || column >= c.input[3]) continue;
          sum += x(n, channel, row, column) * w(filter, channel, r, s);
        }
    return activated(sum, c.conv.activation);
  };
  Array y(Shape{c.input[0], c.weight[0], pooled(c.input[2]), pooled(c.input[3])});
  for_each_index(y.shape, [&](const Shape& at) {
    double best = element(at[0], at[1], at[2] * window, at[3] * window);
    for (int64_t i = 0; i < window * window; ++i)
      best = std::max(best, element(at[0], at[1], at[2] * window + i / window, at[3] * window + i % window));
    y.at(at) = best;
  });
  return y;
}

Sample sample(const Case& c) {
  std::vector<Input> inputs{Input(c.input), Input(c.weight).parameter()};
  if (c.bias) inputs.push_back(Input({c.weight[0]}).parameter());
  return {.label = c.label,
          .inputs = inputs,
          .function =
              [c](const Args& x) { return conv2d_max_pool2d(x[0], x[1], c.bias ? x[2] : Tensor(), c.conv, c.pool); },
          .reference = [c](const std::vector<Array>& x) { return reference(c, x); }};
}

// In float32 alone: which element of a window is the largest depends on how narrow types are rounded.
Row row() {
  Row row{.operation = "conv2d_max_pool2d", .floating = {DType::float32}};
  constexpr Activation relu = Activation::relu;
  for (const Case& c : {Case{"5x5", {2, 1, 8, 8}, {3, 1, 5, 5}, {.padding = 2, .activation = relu}},
                        Case{"3x3, channels", {2, 4, 5, 6}, {3, 4, 3, 3}, {.padding = 1, .activation = relu}},
                        Case{"no activation", {1, 2, 7, 6}, {2, 2, 3, 3}},
                        Case{"no bias", {2, 2, 6, 6}, {2, 2, 3, 3}, {.activation = relu}, false},
                        Case{"a stride", {1, 2, 9, 9}, {2, 2, 3, 3}, {.stride = 2, .activation = relu}},
                        Case{"another window", {1, 2, 8, 8}, {2, 2, 3, 3}, {}, true, {.kernel = 3}},
                        Case{"one element", {1, 1, 1, 1}, {1, 1, 1, 1}, {.activation = relu}, true, {.kernel = 1}},
                        Case{"no images", {0, 1, 6, 6}, {2, 1, 3, 3}}})
    row.sample(sample(c));
  return row.within(32, 64);
}

const Rows rows{row()};

TEST(ConvMaxPool, AsksTheDevice) {
  const Tensor x = zeros({2, 1, 8, 8}), w = zeros({3, 1, 3, 3});
  EXPECT_FALSE(fuses_conv2d_max_pool2d(x, w, {}, {}, {})) << "the CPU has no kernels for that";
  EXPECT_FALSE(fuses_conv2d_max_pool2d({}, w, {}, {}, {}));
  for (const Device device : table_devices()) {
    if (device.is_cpu() || device_count(device.type()) == 0) continue;
    const Tensor there = x.to(device), weight = w.to(device);
    EXPECT_TRUE(fuses_conv2d_max_pool2d(there, weight, {}, {.padding = 1, .activation = Activation::relu}, {}));
    EXPECT_FALSE(fuses_conv2d_max_pool2d(there, weight, {}, {.add = zeros({2, 3, 6, 6}).to(device)}, {}));
    EXPECT_FALSE(fuses_conv2d_max_pool2d(there, weight, {}, {.groups = 2}, {})) << "the operation throws";
  }
}

}  // namespace
}  // namespace dnn::test
