// The kernels of convolution with max pooling, against the convolution and the pooling of the CPU.
#include <gtest/gtest.h>

#include "core/kernels/all.h"
#include "tests/simt/kernel_check.h"

namespace dnn::simt::test {

namespace {

struct Case {
  Shape input, weight;
  int64_t padding;
  bool relu, bias;
};

kernel::ConvPoolProblem problem_of(const Case& c, DType type) {
  const int64_t height = c.input[2] + 2 * c.padding - c.weight[2] + 1,
                width = c.input[3] + 2 * c.padding - c.weight[3] + 1;
  const Shape middle{c.input[0], c.weight[0], height, width}, output{c.input[0], c.weight[0], height / 2, width / 2};
  return {.conv = {c.input, c.weight, middle, 1, c.padding, 1, 1, type},
          .activation = c.relu ? Activation::relu : Activation::none,
          .pool = {.input = middle, .output = output}};
}

bool fits(const kernel::ConvPoolProblem& problem) {
  bool answer = false;
  kernel::conv2d_pool_fits[cuda](problem, &answer);
  return answer;
}

}  // namespace

TEST(ConvPoolKernels, ForwardAndBothGradients) {
  for (const Case& c : {Case{{3, 1, 28, 28}, {6, 1, 5, 5}, 2, true, true},   // LeNet-5
                        Case{{3, 6, 14, 14}, {16, 6, 5, 5}, 0, true, true},  //
                        Case{{2, 3, 9, 12}, {5, 3, 3, 3}, 1, false, true},   // odd sizes
                        Case{{1, 2, 7, 6}, {1, 2, 3, 3}, 0, true, false},    //
                        Case{{300, 1, 4, 5}, {2, 1, 3, 3}, 2, true, true}}) {
    for (const DType type : {DType::float32, DType::float16, DType::bfloat16}) {
      const auto problem = problem_of(c, type);
      ASSERT_TRUE(fits(problem));
      Tensor x = uniform(c.input, type), w = uniform(c.weight, type), b = uniform({c.weight[0]}, type);
      if (!c.bias) b = {};
      const Tensor grad = uniform(problem.pool.output, type);
      // In float32 from the same rounded numbers, so that all types agree on the winners.
      const auto wide = [](const Tensor& t) { return t.defined() ? t.to(DType::float32).set_requires_grad(true) : t; };
      const Tensor wide_x = wide(x), wide_w = wide(w), wide_b = wide(b);
      const Tensor expected =
          max_pool2d(conv2d(wide_x, wide_w, wide_b, {.padding = c.padding, .activation = problem.activation}));
      expected.backward(grad.to(DType::float32));
      detail::make_plain(expected);

      const Tensor out = detail::allocate(problem.pool.output, type, cuda);
      const Tensor winners = detail::allocate(problem.pool.output, DType::uint8, cuda);
      kernel::conv2d_pool_forward[cuda](problem, gpu(x), gpu(w), gpu(b), out, winners);
      expect_near(out.to(DType::float32), expected, 4 * unit(type));
      const Tensor again = detail::allocate(problem.pool.output, type, cuda);
      kernel::conv2d_pool_forward[cuda](problem, gpu(x), gpu(w), gpu(b), again, {});
      expect_same(again, out);

      for (const bool accumulate : {false, true}) {
        const auto before = [&](const Shape& shape) {
          return gpu(accumulate ? ones(shape).to(type) : full(shape, NAN).to(type));
        };
        const auto after = [&](const Tensor& gradient) { return accumulate ? gradient + 1 : gradient; };
        const Tensor grad_x = before(c.input), grad_w = before(c.weight), grad_b = before({c.weight[0]});
        kernel::conv2d_pool_backward_data[cuda](problem, gpu(grad), winners, gpu(w), grad_x, accumulate);
        kernel::conv2d_pool_backward_weight[cuda](problem, gpu(x), gpu(grad), winners, grad_w, accumulate,
                                                  c.bias ? grad_b : Tensor(), accumulate);
        expect_near(grad_x.to(DType::float32), after(wide_x.grad()), 4 * unit(type));
        expect_near(grad_w.to(DType::float32), after(wide_w.grad()), 4 * unit(type));
        if (!c.bias) continue;
        expect_near(grad_b.to(DType::float32), after(wide_b.grad()), 4 * unit(type));
        const Tensor alone = before({c.weight[0]});
        kernel::conv2d_pool_backward_weight[cuda](problem, gpu(x), gpu(grad), winners, {}, false, alone, accumulate);
        expect_same(alone, grad_b);
      }
    }
  }
}

TEST(ConvPoolKernels, NaNAndInfinityAreThePoolingsOwn) {
  const Case c{{1, 1, 4, 4}, {1, 1, 3, 3}, 1, true, false};
  const auto problem = problem_of(c, DType::float32);
  const Tensor w = zeros(c.weight);
  w.data<float>()[4] = 1;  // the image itself; 0 * NaN and 0 * infinity are NaN all around
  for (float value : {NAN, INFINITY}) {
    const Tensor image = full(c.input, -1);
    image.data<float>()[0] = value, image.data<float>()[15] = 2;
    const Tensor out = detail::allocate({1, 1, 2, 2}, DType::float32, cuda);
    const Tensor winners = detail::allocate({1, 1, 2, 2}, DType::uint8, cuda);
    kernel::conv2d_pool_forward[cuda](problem, gpu(image), gpu(w), {}, out, winners);
    const auto values = raw_values(out);
    EXPECT_TRUE(std::isnan(values[0]));
    EXPECT_EQ(values[1], 0);
    EXPECT_EQ(values[3], 2);
  }
}

// What is stored as 0 has no gradient behind the ReLU.
TEST(ConvPoolKernels, ATinyNumberThatBecomesZeroHasNoWinner) {
  const Case c{{1, 1, 4, 4}, {1, 1, 3, 3}, 1, true, false};
  const auto problem = problem_of(c, DType::float16);
  const Tensor x = full(c.input, 1e-4).to(DType::float16), w = full(c.weight, 1e-5).to(DType::float16);
  const Tensor out = detail::allocate(problem.pool.output, DType::float16, cuda);
  const Tensor winners = detail::allocate(problem.pool.output, DType::uint8, cuda);
  kernel::conv2d_pool_forward[cuda](problem, gpu(x), gpu(w), {}, out, winners);
  const Tensor grad_x = gpu(ones(c.input).to(DType::float16));
  kernel::conv2d_pool_backward_data[cuda](problem, gpu(ones(problem.pool.output).to(DType::float16)), winners, gpu(w),
                                          grad_x, false);
  EXPECT_EQ(raw_values(out), std::vector<double>(4, 0));
  EXPECT_EQ(raw_values(grad_x), std::vector<double>(16, 0));
}

TEST(ConvPoolKernels, OnlySmallProblemsFit) {
  const Case good{{128, 1, 28, 28}, {6, 1, 5, 5}, 2, true, true};
  EXPECT_TRUE(fits(problem_of(good, DType::float32)));
  EXPECT_FALSE(fits(problem_of(good, DType::float64)));
  const auto with = [&](auto change) {
    auto problem = problem_of(good, DType::float32);
    change(problem);
    return fits(problem);
  };
  EXPECT_FALSE(with([](auto& p) { p.conv.stride = 2; }));
  EXPECT_FALSE(with([](auto& p) { p.conv.dilation = 2; }));
  EXPECT_FALSE(with([](auto& p) { p.conv.groups = 2; }));
  EXPECT_FALSE(with([](auto& p) { p.conv.padding = {2, 1}; }));
  EXPECT_FALSE(with([](auto& p) { p.conv.padding = 5; }));
  EXPECT_FALSE(with([](auto& p) { p.conv.input[0] = 0; }));
  EXPECT_FALSE(with([](auto& p) { p.activation = Activation::gelu_tanh; }));
  EXPECT_FALSE(with([](auto& p) { p.pool.kernel = 3; }));
  EXPECT_FALSE(with([](auto& p) { p.pool.stride = 1; }));
  EXPECT_FALSE(with([](auto& p) { p.pool.padding = 1; }));
  EXPECT_FALSE(with([](auto& p) { p.pool.adaptive = true; }));
  EXPECT_FALSE(fits(problem_of({{1, 64, 14, 14}, {64, 64, 3, 3}, 1, true, true}, DType::float32))) << "weights";
  EXPECT_FALSE(fits(problem_of({{1, 3, 224, 224}, {4, 3, 3, 3}, 1, true, true}, DType::float32))) << "pixels";
  EXPECT_FALSE(fits(problem_of({{1, 8, 24, 24}, {16, 8, 5, 5}, 2, true, true}, DType::float32))) << "products";
  EXPECT_FALSE(fits(problem_of({{1, 1, 28, 28}, {6, 1, 7, 7}, 2, true, true}, DType::float32))) << "filter";
}

}  // namespace dnn::simt::test
