// The convolution of few channels, in both variants: all three passes in all layouts against the float64 definition, at
// sizes around the tiles of the loops.
#include <gtest/gtest.h>

#include "core/cpu/conv.h"
#include "core/node.h"
#include "tests/core/variants.h"
#ifdef _OPENMP
#include <omp.h>
#endif

namespace dnn {
namespace {

using detail::Layout;
using kernel::ConvProblem;
using namespace test;

ConvProblem problem_of(const Shape& x, const Shape& w, Size2 stride, Size2 padding, Size2 dilation) {
  const auto size = [](int64_t input, int64_t taps, int64_t step, int64_t border, int64_t gap) {
    return (input + 2 * border - gap * (taps - 1) - 1) / step + 1;
  };
  return {.input = x,
          .weight = w,
          .output = {x[0], w[0], size(x[2], w[2], stride.h, padding.h, dilation.h),
                     size(x[3], w[3], stride.w, padding.w, dilation.w)},
          .stride = stride,
          .padding = padding,
          .dilation = dilation};
}

const std::vector<ConvProblem>& problems() {
  static const std::vector<ConvProblem> list{
      problem_of({1, 1, 1, 1}, {1, 1, 1, 1}, 1, 0, 1),
      problem_of({3, 1, 28, 28}, {6, 1, 5, 5}, 1, 2, 1),           // one vector of filters, rows of two full tiles
      problem_of({2, 6, 14, 14}, {16, 6, 5, 5}, 1, 0, 1),          // the image is its own canvas
      problem_of({2, 3, 9, 31}, {3, 3, 3, 4}, {2, 1}, {1, 2}, 1),  // filters fill less than half a vector
      problem_of({2, 2, 7, 13}, {20, 2, 3, 3}, 1, 1, 1),           // a pair of vectors and half of one
      problem_of({2, 2, 7, 13}, {27, 2, 3, 3}, 1, 1, 1),           // the same where vectors are twice as long
      problem_of({1, 2, 6, 9}, {44, 2, 3, 3}, 1, 1, 1),            // a pair of those and a third one
      problem_of({1, 5, 11, 12}, {7, 5, 3, 2}, 1, {2, 1}, {2, 3}),
      problem_of({2, 4, 10, 9}, {9, 4, 2, 3}, {3, 2}, {0, 1}, 1),  // the last row and column are not reached
      problem_of({1, 8, 6, 5}, {8, 8, 3, 3}, 1, 1, 1),
      problem_of({2, 16, 5, 7}, {32, 16, 3, 3}, 1, 1, 1),
      problem_of({1, 1, 2, 2}, {2, 1, 2, 2}, 1, 3, 1),  // windows of nothing but border
      problem_of({35, 1, 4, 4}, {2, 1, 3, 3}, 1, 1, 1),
      problem_of({1, 3, 60, 70}, {4, 3, 7, 7}, 1, 3, 1),  // several bands of rows
  };
  return list;
}

std::string text(const ConvProblem& p) { return p.input.str() + " by " + p.weight.str() + " to " + p.output.str(); }

// The layouts that the channels allow.
std::vector<Layout> layouts(int64_t channels) {
  std::vector<Layout> list{Layout::plain, Layout::channels_last};
  if (channels % 8 == 0) list.push_back(Layout::blocked8);
  if (channels % 16 == 0) list.push_back(Layout::blocked16);
  return list;
}

Tensor poisoned(const Shape& shape, Layout layout) {
  const Tensor t = full(shape, nan);
  detail::set_layout(t, layout);
  return t;
}

Tensor wide(const Tensor& t) { return t.to(DType::float64); }

// A sum of `terms` products of numbers up to 2.
double rounding(int64_t terms) { return 16 * std::sqrt(static_cast<double>(terms)) * epsilon(DType::float32); }

TEST(SmallConv, ForwardAgreesWithTheDefinition) {
  for_each_variant([] {
    for (const ConvProblem& p : problems()) {
      SCOPED_TRACE(text(p));
      const Tensor x = some_tensor(p.input, DType::float32), w = some_tensor(p.weight, DType::float32, -2, 2, 2);
      const Tensor bias = some_tensor({p.output[1]}, DType::float32, -2, 2, 3);
      for (const bool with_bias : {true, false}) {
        const Tensor expected = empty(p.output, {.dtype = DType::float64});
        cpu::conv_reference::forward(p, wide(x), wide(w), with_bias ? wide(bias) : Tensor(), expected);
        std::vector<double> clipped = numbers(expected);
        for (double& value : clipped) value = std::max(value, 0.0);
        for (const Layout from : layouts(p.input[1])) {
          for (const Layout to : layouts(p.output[1])) {
            if (to == Layout::plain && p.output[1] > 1) continue;
            for (const Activation activation : {Activation::none, Activation::relu}) {
              const Tensor y = poisoned(p.output, to);
              cpu::conv_small::kernels.forward(p, detail::in_layout(x, from), w, with_bias ? bias : Tensor(),
                                               activation, y);
              expect_close(numbers(y), activation == Activation::relu ? clipped : numbers(expected),
                           rounding(p.weight.numel() / p.weight[0]));
            }
          }
        }
      }
    }
  });
}

TEST(SmallConv, GradientOfTheDataAgreesWithTheDefinition) {
  for_each_variant([] {
    for (const ConvProblem& p : problems()) {
      SCOPED_TRACE(text(p));
      const Tensor grad = some_tensor(p.output, DType::float32), w = some_tensor(p.weight, DType::float32, -2, 2, 2);
      const Tensor before = some_tensor(p.input, DType::float32, -2, 2, 3);
      for (const bool accumulate : {false, true}) {
        const Tensor expected = wide(before).clone();
        cpu::conv_reference::backward_data(p, wide(grad), wide(w), expected, accumulate);
        for (const Layout from : layouts(p.output[1])) {
          for (const Layout to : layouts(p.input[1])) {
            const Tensor dx = accumulate ? detail::in_layout(before.clone(), to) : poisoned(p.input, to);
            cpu::conv_small::kernels.backward_data(p, detail::in_layout(grad, from), w, dx, accumulate);
            expect_close(numbers(dx), numbers(expected), rounding(p.weight.numel() / p.weight[1]));
          }
        }
      }
    }
  });
}

TEST(SmallConv, GradientOfTheWeightAgreesWithTheDefinition) {
  for_each_variant([] {
    for (const ConvProblem& p : problems()) {
      SCOPED_TRACE(text(p));
      const Tensor x = some_tensor(p.input, DType::float32), grad = some_tensor(p.output, DType::float32, -2, 2, 2);
      const Tensor before = some_tensor(p.weight, DType::float32, -2, 2, 3);
      const Tensor bias_before = some_tensor({p.output[1]}, DType::float32, -2, 2, 4);
      for (const bool accumulate : {false, true}) {
        const Tensor expected = wide(before).clone();
        cpu::conv_reference::backward_weight(p, wide(x), wide(grad), expected, accumulate);
        std::vector<double> expected_bias = accumulate ? numbers(bias_before) : std::vector<double>(p.output[1]);
        const std::vector<double> elements = numbers(grad);
        const int64_t pixels = p.output[2] * p.output[3];
        for (int64_t i = 0; i < grad.numel(); ++i)
          expected_bias[static_cast<size_t>(i / pixels % p.output[1])] += elements[static_cast<size_t>(i)];
        for (const Layout of_x : layouts(p.input[1])) {
          for (const Layout of_grad : layouts(p.output[1])) {
            const Tensor dw = accumulate ? before.clone() : poisoned(p.weight, Layout::plain);
            const Tensor db = accumulate ? bias_before.clone() : full({p.output[1]}, nan);
            const Tensor image = detail::in_layout(x, of_x), upstream = detail::in_layout(grad, of_grad);
            cpu::conv_small::kernels.backward_weight(p, image, upstream, dw, accumulate, db, accumulate);
            const double tolerance = rounding(p.output[0] * pixels);
            expect_close(numbers(dw), numbers(expected), tolerance);
            expect_close(numbers(db), expected_bias, tolerance);
            cpu::conv_small::kernels.backward_weight(p, image, upstream, dw, false, {}, false);
          }
        }
      }
    }
  });
}

TEST(SmallConv, NaNPassesThroughReluAndStaysInItsWindows) {
  for_each_variant([] {
    const ConvProblem p = problem_of({1, 1, 6, 20}, {3, 1, 3, 3}, 1, 0, 1);
    const Tensor x = full(p.input, 1), w = full(p.weight, -1), y = poisoned(p.output, Layout::channels_last);
    x.data<float>()[2 * 20 + 7] = static_cast<float>(nan);
    cpu::conv_small::kernels.forward(p, x, w, {}, Activation::relu, y);
    std::vector<double> expected(static_cast<size_t>(p.output.numel()));
    for (int64_t k = 0; k < 3; ++k)
      for (int64_t row = 0; row <= 2; ++row)
        for (int64_t column = 5; column <= 7; ++column)
          expected[static_cast<size_t>((k * 4 + row) * 18 + column)] = nan;
    expect_close(numbers(y), expected, 0);

    // The taps of one row are fewer than a vector holds: the others are other windows'.
    const Tensor grad = full(p.output, 0), dx = poisoned(p.input, Layout::plain);
    grad.data<float>()[18 + 4] = static_cast<float>(infinity);
    cpu::conv_small::kernels.backward_data(p, grad, w, dx, false);
    std::vector<double> gradient(static_cast<size_t>(p.input.numel()));
    for (int64_t row = 1; row <= 3; ++row)
      for (int64_t column = 4; column <= 6; ++column) gradient[static_cast<size_t>(row * 20 + column)] = -infinity;
    expect_close(numbers(dx), gradient, 0);
  });
}

#ifdef _OPENMP
TEST(SmallConv, DoesNotDependOnTheNumberOfThreads) {
  const ConvProblem p = problem_of({37, 3, 16, 30}, {12, 3, 5, 5}, 1, 2, 1);
  const Tensor x = some_tensor(p.input, DType::float32), w = some_tensor(p.weight, DType::float32, -2, 2, 2);
  const Tensor grad = some_tensor(p.output, DType::float32, -2, 2, 3);
  const int threads = omp_get_max_threads();
  std::vector<std::vector<double>> results;
  for (const int count : {1, 2, 3, 8}) {
    omp_set_num_threads(count);
    const Tensor y = poisoned(p.output, Layout::channels_last), dx = poisoned(p.input, Layout::channels_last);
    const Tensor dw = full(p.weight, nan), db = full({p.output[1]}, nan);
    cpu::conv_small::kernels.forward(p, x, w, {}, Activation::none, y);
    cpu::conv_small::kernels.backward_data(p, grad, w, dx, false);
    cpu::conv_small::kernels.backward_weight(p, x, grad, dw, false, db, false);
    std::vector<double> result;
    for (const Tensor& t : {y, dx, dw, db})
      for (const double value : numbers(t)) result.push_back(value);
    results.push_back(result);
  }
  omp_set_num_threads(threads);
  for (const std::vector<double>& result : results) EXPECT_EQ(result, results.front());
}
#endif

}  // namespace
}  // namespace dnn
