// float32 convolution in every layout against the float64 loops, over problems that take different paths in oneDNN.
#include "core/kernels/conv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/kernels/copy.h"
#include "core/kernels/runtime.h"
#include "core/node.h"
#include "dnn/ops.h"

namespace dnn::cpu {
namespace {

using detail::Layout;
using kernel::ConvProblem;

constexpr Device cpu = Device::cpu();

ConvProblem problem(const Shape& input, const Shape& weight, Size2 stride = 1, Size2 padding = 0, Size2 dilation = 1) {
  const auto size = [](int64_t in, int64_t taps, int64_t step, int64_t pad, int64_t gap) {
    return (in + 2 * pad - gap * (taps - 1) - 1) / step + 1;
  };
  return {.input = input,
          .weight = weight,
          .output = {input[0], weight[0], size(input[2], weight[2], stride.h, padding.h, dilation.h),
                     size(input[3], weight[3], stride.w, padding.w, dilation.w)},
          .stride = stride,
          .padding = padding,
          .dilation = dilation,
          .groups = input[1] / weight[1],
          .dtype = DType::float32};
}

const ConvProblem problems[] = {
    problem({2, 1, 12, 12}, {6, 1, 5, 5}, 1, 2),     // LeNet
    problem({2, 6, 14, 14}, {16, 6, 5, 5}),          //
    problem({2, 3, 15, 13}, {16, 3, 3, 3}, 1, 1),    // a first layer
    problem({1, 3, 35, 35}, {32, 3, 11, 11}, 4, 2),  // AlexNet's
    problem({1, 3, 9, 9}, {8, 3, 3, 3}, 2, 1),       //
    problem({2, 16, 9, 7}, {32, 16, 3, 3}, 2, 1),    // whole blocks
    problem({2, 8, 8, 8}, {16, 8, 3, 3}, 1, 1),      // half a block of AVX-512
    problem({2, 24, 8, 8}, {24, 24, 3, 3}, 1, 1),    //
    problem({2, 5, 7, 9}, {7, 5, 3, 2}, {2, 1}, {1, 0}, {1, 2}),
    problem({2, 16, 9, 9}, {16, 16, 3, 3}, 1, 2, 2),  // dilation
    problem({2, 32, 8, 8}, {32, 1, 3, 3}, 1, 1),      // depthwise
    problem({2, 6, 3, 8}, {6, 1, 2, 2}, {3, 1}, {2, 0}, {2, 2}),
    problem({2, 32, 8, 8}, {64, 16, 3, 3}, 1, 1),  // two groups
    problem({2, 12, 8, 8}, {12, 4, 3, 3}, 1, 1),   // three small ones
    problem({2, 64, 4, 4}, {10, 64, 1, 1}),        // 1x1
    problem({2, 64, 8, 8}, {128, 64, 1, 1}, 2),    //
    problem({2, 16, 4, 4}, {32, 16, 4, 4}),        // to one pixel
    problem({3, 16, 1, 1}, {32, 16, 1, 1}),        // from one pixel
    problem({2, 16, 6, 6}, {16, 16, 2, 2}, 1, 3),  // windows of padding alone
    problem({1, 16, 1, 5}, {6, 16, 1, 3}, {1, 3}, {3, 0}, {2, 1}),
    problem({1, 24, 8, 7}, {16, 24, 2, 5}, {3, 1}, 3, {1, 2}),
    problem({2, 16, 5, 5}, {16, 16, 3, 3}, 3),  // pixels that no window sees
    problem({2, 16, 7, 7}, {17, 16, 3, 3}, 1, 0, 3),
};

std::vector<Layout> layouts(const Shape& nchw) {
  std::vector<Layout> result = {Layout::plain, Layout::channels_last};
  if (nchw[1] % 8 == 0) result.push_back(Layout::blocked8);
  if (nchw[1] % 16 == 0) result.push_back(Layout::blocked16);
  return result;
}

Tensor poisoned(const Shape& shape, Layout layout = Layout::plain, DType type = DType::float32) {
  Tensor result = full(shape, std::numeric_limits<double>::quiet_NaN(), {.dtype = type});
  detail::set_layout(result, layout);
  return result;
}

Tensor filled(const Tensor& values, Layout layout) {
  Tensor result = poisoned(values.shape(), layout);
  kernel::relayout[cpu](detail::raw(values), Layout::plain, detail::raw(result), layout, values.shape(), sizeof(float));
  return result;
}

void expect_close(const Tensor& actual, const Tensor& expected, const char* what) {
  const auto x = actual.to(DType::float64).to_vector<double>(), y = expected.to_vector<double>();
  ASSERT_EQ(x.size(), y.size());
  double scale = 1;
  for (const double value : y) scale = std::max(scale, std::abs(value));
  for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], 1e-5 * scale) << what << ", element " << i;
}

struct Float64 {
  explicit Float64(const ConvProblem& p)
      : x(randn(p.input).to(DType::float64)),
        weight(randn(p.weight).to(DType::float64)),
        bias(randn({p.weight[0]}).to(DType::float64)),
        add(randn(p.output).to(DType::float64)),
        grad(randn(p.output).to(DType::float64)),
        y(poisoned(p.output, Layout::plain, DType::float64)),
        fused(poisoned(p.output, Layout::plain, DType::float64)),
        dx(poisoned(p.input, Layout::plain, DType::float64)),
        dw(poisoned(p.weight, Layout::plain, DType::float64)),
        db(poisoned({p.weight[0]}, Layout::plain, DType::float64)) {
    ConvProblem exact = p;
    exact.dtype = DType::float64;
    kernel::conv2d_forward[cpu](exact, x, weight, bias, y);
    kernel::conv2d_fused[cpu](exact, x, weight, bias, add, Activation::relu, fused);
    kernel::conv2d_backward_data[cpu](exact, grad, weight, dx, false);
    kernel::conv2d_backward_weight[cpu](exact, x, grad, dw, false, db, false);
  }
  Tensor x, weight, bias, add, grad, y, fused, dx, dw, db;
};

void check_layouts(const ConvProblem& p, const Float64& exact, Layout in, Layout out) {
  const Tensor plain_x = exact.x.to(DType::float32), weight = exact.weight.to(DType::float32);
  const Tensor bias = exact.bias.to(DType::float32);
  const Tensor x = filled(plain_x, in), grad = filled(exact.grad.to(DType::float32), out);

  Tensor y = poisoned(p.output, out);
  kernel::conv2d_forward[cpu](p, x, weight, bias, y);
  expect_close(y, exact.y, "forward");
  y = poisoned(p.output, out);
  kernel::conv2d_fused[cpu](p, x, weight, bias, filled(exact.add.to(DType::float32), out), Activation::relu, y);
  expect_close(y, exact.fused, "fused");

  Tensor dx = poisoned(p.input, in);
  kernel::conv2d_backward_data[cpu](p, grad, weight, dx, false);
  expect_close(dx, exact.dx, "gradient of the input");
  dx = filled(plain_x, in);
  kernel::conv2d_backward_data[cpu](p, grad, weight, dx, true);
  expect_close(dx, exact.dx + exact.x, "accumulated gradient of the input");

  Tensor dw = poisoned(p.weight), db = poisoned({p.weight[0]});
  kernel::conv2d_backward_weight[cpu](p, x, grad, dw, false, db, false);
  expect_close(dw, exact.dw, "gradient of the weight");
  expect_close(db, exact.db, "gradient of the bias");
  dw = weight.clone(), db = bias.clone();
  kernel::conv2d_backward_weight[cpu](p, x, grad, dw, true, db, true);
  expect_close(dw, exact.dw + exact.weight, "accumulated gradient of the weight");
  expect_close(db, exact.db + exact.bias, "accumulated gradient of the bias");
}

TEST(ConvKernels, AgreeInEveryLayout) {
  for (const ConvProblem& p : problems) {
    const Float64 exact(p);
    for (const Layout in : layouts(p.input)) {
      Layout preferred = Layout::plain;
      kernel::conv2d_layout[cpu](p, in, &preferred);
      for (const Layout out : {Layout::plain, preferred}) {
        SCOPED_TRACE("input " + p.input.str() + ", weight " + p.weight.str() + ", layouts " +
                     std::to_string(static_cast<int>(in)) + " and " + std::to_string(static_cast<int>(out)));
        check_layouts(p, exact, in, out);
      }
    }
  }
}

TEST(ConvKernels, AnEmptyBatchHasNoOutputAndZeroGradients) {
  const ConvProblem p = problem({0, 16, 6, 6}, {16, 16, 3, 3});
  const Tensor x = zeros(p.input), y = zeros(p.output), weight = randn(p.weight);
  Tensor dw = poisoned(p.weight), db = poisoned({16});
  kernel::conv2d_forward[cpu](p, x, weight, {}, y);
  kernel::conv2d_backward_data[cpu](p, y, weight, x, false);
  kernel::conv2d_backward_weight[cpu](p, x, y, dw, false, db, false);
  EXPECT_EQ(dw.to_vector<float>(), std::vector<float>(16 * 16 * 9));
  EXPECT_EQ(db.to_vector<float>(), std::vector<float>(16));
  dw = weight.clone();
  kernel::conv2d_backward_weight[cpu](p, x, y, dw, true, {}, false);
  EXPECT_EQ(dw.to_vector<float>(), weight.to_vector<float>());
}

}  // namespace
}  // namespace dnn::cpu
