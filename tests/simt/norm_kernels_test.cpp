// Row normalisation, response normalisation and adaptive pooling, against the CPU's: every element type and path.
#include <gtest/gtest.h>

#include "core/kernels/all.h"
#include "tests/simt/kernel_check.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

DType statistic_type(DType type) { return type == DType::float64 ? DType::float64 : DType::float32; }

TEST(RowNormKernels, ForwardAndBackward) {
  for (const auto& problem : {kernel::RowNormProblem{5, 37}, kernel::RowNormProblem{300, 8},
                              kernel::RowNormProblem{3, 700}, kernel::RowNormProblem{6, 24, 3, 6},
                              kernel::RowNormProblem{4, 1200, 2, 300}, kernel::RowNormProblem{6, 4, 2, 1}}) {
    for (const DType type : floating_types) {
      const DType wide = statistic_type(type);
      const Shape shape{problem.rows, problem.n}, sizes{problem.n / problem.inner * problem.groups};
      const double tolerance = 16 * unit(type);
      const Tensor x = uniform(shape, type, -1, 4), grad = uniform(shape, type);
      for (const bool affine : {true, false}) {
        const Tensor weight = affine ? uniform(sizes, wide, 0.5, 2) : Tensor(),
                     bias = affine ? uniform(sizes, wide) : Tensor();
        const Tensor y = empty_like(x), gpu_y = gpu_like(x);
        const Tensor mean = detail::allocate({problem.rows}, wide, cpu), inv_std = empty_like(mean);
        const Tensor gpu_mean = gpu_like(mean), gpu_inv_std = gpu_like(mean);
        kernel::row_norm_forward[cpu](problem, x, weight, bias, 1e-5, mean, inv_std, y);
        kernel::row_norm_forward[cuda](problem, gpu(x), gpu(weight), gpu(bias), 1e-5, gpu_mean, gpu_inv_std, gpu_y);
        expect_near(gpu_y, y, tolerance);
        expect_near(gpu_mean, mean, 8 * unit(wide));
        expect_near(gpu_inv_std, inv_std, 8 * unit(wide));

        for (const bool accumulate : {true, false}) {
          kernel::RowNormGradients out{.input = uniform(shape, type),
                                       .weight = uniform(sizes, wide),
                                       .bias = uniform(sizes, wide),
                                       .accumulate_input = accumulate,
                                       .accumulate_weight = accumulate,
                                       .accumulate_bias = accumulate};
          kernel::RowNormGradients gpu_out = out;
          gpu_out.input = gpu(out.input), gpu_out.weight = gpu(out.weight), gpu_out.bias = gpu(out.bias);
          kernel::row_norm_backward[cpu](problem, grad, x, weight, mean, inv_std, out);
          kernel::row_norm_backward[cuda](problem, gpu(grad), gpu(x), gpu(weight), gpu(mean), gpu(inv_std), gpu_out);
          expect_near(gpu_out.input, out.input, tolerance);
          expect_near(gpu_out.weight, out.weight, 16 * unit(wide));
          expect_near(gpu_out.bias, out.bias, 16 * unit(wide));
        }
      }
    }
  }
}

TEST(RowNormKernels, OnlyWhatIsWanted) {
  const kernel::RowNormProblem problem{6, 24, 3, 6};
  const Tensor x = gpu(uniform({6, 24})), grad = gpu(uniform({6, 24})), weight = gpu(uniform({12}));
  const Tensor mean = gpu(uniform({6})), inv_std = gpu(uniform({6}, DType::float32, 1, 2));
  const auto run = [&](const kernel::RowNormGradients& out) {
    kernel::row_norm_backward[cuda](problem, grad, x, weight, mean, inv_std, out);
  };
  kernel::RowNormGradients all{.input = gpu_like(x), .weight = gpu_like(weight), .bias = gpu_like(weight)};
  run(all);
  kernel::RowNormGradients input{.input = gpu_like(x)}, scale, shift;
  scale.weight = gpu_like(weight), shift.bias = gpu_like(weight);
  run(input), expect_same(input.input, all.input);
  run(scale), expect_same(scale.weight, all.weight);
  run(shift), expect_same(shift.bias, all.bias);
}

TEST(ResponseNormKernels, ForwardAndBackward) {
  for (const auto& problem : {kernel::ResponseNormProblem{2, 7, 12, 2, 2, 0.2, 0.75, 2},
                              kernel::ResponseNormProblem{2, 6, 5, 2, 1, 0.3, 0.5, 1},
                              kernel::ResponseNormProblem{1, 3, 300, 9, 8, 0.1, 0.75, 1}}) {
    for (const DType type : floating_types) {
      const Shape shape{problem.outer, problem.channels, problem.inner};
      const Tensor x = uniform(shape, type), grad = uniform(shape, type), y = empty_like(x), gpu_y = gpu_like(x);
      const Tensor divisor = detail::allocate(shape, statistic_type(type), cpu), gpu_divisor = gpu_like(divisor);
      kernel::response_norm_forward[cpu](problem, x, divisor, y);
      kernel::response_norm_forward[cuda](problem, gpu(x), gpu_divisor, gpu_y);
      expect_near(gpu_divisor, divisor, 2 * unit(divisor.dtype()));
      expect_near(gpu_y, y, 4 * unit(type));
      for (const bool accumulate : {true, false}) {
        const Tensor gradient = uniform(shape, type), gpu_gradient = gpu(gradient);
        kernel::response_norm_backward[cpu](problem, grad, x, y, divisor, gradient, accumulate);
        kernel::response_norm_backward[cuda](problem, gpu(grad), gpu(x), gpu(y), gpu(divisor), gpu_gradient,
                                             accumulate);
        expect_near(gpu_gradient, gradient, 8 * unit(type));
      }
    }
  }
}

// A window of five in channels_last: whole packs in registers, without divisors; others as everywhere.
TEST(ResponseNormKernels, ChannelsLast) {
  for (const Shape& shape : {Shape{2, 8, 5, 3}, Shape{1, 48, 9, 7}, Shape{1, 264, 2, 3}, Shape{2, 6, 4, 4}}) {
    for (const auto& [before, after, beta] : {std::tuple{2, 2, 0.75}, {2, 2, 0.6}, {1, 2, 0.75}}) {
      const kernel::ResponseNormProblem problem{shape[0], shape[1], shape[2] * shape[3], before, after, 0.2, beta, 2};
      for (const DType type : {DType::float32, DType::float16, DType::bfloat16}) {
        const Tensor x = uniform(shape, type), grad = uniform(shape, type), y = empty_like(x);
        const Tensor divisor = detail::allocate(shape, DType::float32, cpu);
        kernel::response_norm_forward[cpu](problem, x, divisor, y);

        const Tensor gpu_x = to_gpu(x, Layout::channels_last), gpu_grad = to_gpu(grad, Layout::channels_last);
        kernel::ResponseNormPlan plan;
        kernel::response_norm_plan[cuda](problem, gpu_x, &plan);
        EXPECT_EQ(plan.layout, Layout::channels_last);
        EXPECT_EQ(plan.keeps_divisor, after != before || shape[1] % (16 / static_cast<int64_t>(size_of(type))) != 0);
        kernel::ResponseNormProblem rows = problem;
        rows.outer *= rows.inner, rows.inner = 1;
        const Tensor gpu_y = gpu_like(gpu_x), kept = plan.keeps_divisor ? gpu_like(divisor) : Tensor();
        kernel::response_norm_forward[cuda](rows, gpu_x, kept, gpu_y);
        const Tensor right_y = to_gpu(y, Layout::channels_last);
        expect_near(back(gpu_y), y, 4 * unit(type));
        for (const bool accumulate : {true, false}) {
          const Tensor gradient = uniform(shape, type), gpu_gradient = to_gpu(gradient, Layout::channels_last);
          kernel::response_norm_backward[cpu](problem, grad, x, y, divisor, gradient, accumulate);
          kernel::response_norm_backward[cuda](rows, gpu_grad, gpu_x, plan.keeps_divisor ? right_y : Tensor(), kept,
                                               gpu_gradient, accumulate);
          expect_near(back(gpu_gradient), gradient, 8 * unit(type));
        }
      }
    }
  }
}

TEST(ResponseNormKernels, TheOperationHandsTheLayoutOnInOneLaunchEachWay) {
  Tensor x = to_gpu(uniform({2, 16, 4, 4}, DType::bfloat16), Layout::channels_last);
  x.set_requires_grad();
  const Tensor grad = to_gpu(uniform({2, 16, 4, 4}, DType::bfloat16), Layout::channels_last);
  drain(), start_trace();
  const Tensor y = local_response_norm(x, {.size = 5});
  EXPECT_EQ(detail::layout_of(y), Layout::channels_last);
  EXPECT_EQ(detail::layout_of(x), Layout::channels_last);
  y.backward(grad);
  drain();
  std::vector<std::string> launches = take_trace();  // the leaf's gradient is plain, and so is turned
  std::erase_if(launches, [](const std::string& name) { return !name.starts_with("response_norm"); });
  EXPECT_EQ(launches,
            (std::vector<std::string>{"response_norm_forward_packed_kernel", "response_norm_backward_packed_kernel"}));
}

TEST(AdaptivePoolKernels, EveryLayout) {
  for (const auto& [input, output] : {std::pair{Shape{2, 16, 7, 5}, Shape{2, 16, 3, 2}},
                                      {Shape{1, 16, 3, 2}, Shape{1, 16, 5, 7}},
                                      {Shape{2, 16, 6, 9}, Shape{2, 16, 1, 4}}}) {
    const kernel::PoolProblem problem{.input = input,
                                      .output = output,
                                      .kernel = Size2(input[2], input[3]),
                                      .count_include_pad = false,
                                      .adaptive = true};
    const Tensor x = uniform(input, DType::float64, 0, 6).to(DType::uint8).to(DType::float32);  // with equals
    const Tensor y = detail::allocate(output, DType::float32, cpu), mean = empty_like(y);
    const Tensor winners = detail::allocate(output, DType::uint8, cpu);
    const Tensor grad = uniform(output), max_grad = empty_like(x), mean_grad = empty_like(x);
    kernel::max_pool2d_forward[cpu](problem, x, y, winners);
    kernel::avg_pool2d_forward[cpu](problem, x, mean);
    kernel::max_pool2d_backward[cpu](problem, grad, winners, max_grad, false);
    kernel::avg_pool2d_backward[cpu](problem, grad, mean_grad, false);
    for (const Layout layout : all_layouts) {
      const auto blank = [&](const Shape& shape, DType type) {
        Tensor t = detail::allocate(shape, type, cuda);
        detail::set_layout(t, layout);
        return t;
      };
      const auto expect_plain = [](const Tensor& actual, const Tensor& expected) {
        detail::make_plain(actual);
        expect_near(actual, expected, 1e-6);
      };
      const Tensor gpu_x = laid_out(gpu(x), layout), gpu_grad = laid_out(gpu(grad), layout);
      const Tensor gpu_y = blank(output, DType::float32), gpu_mean = blank(output, DType::float32);
      const Tensor gpu_winners = blank(output, DType::uint8);
      const Tensor gpu_max_grad = blank(input, DType::float32), gpu_mean_grad = blank(input, DType::float32);
      kernel::max_pool2d_forward[cuda](problem, gpu_x, gpu_y, gpu_winners);
      kernel::avg_pool2d_forward[cuda](problem, gpu_x, gpu_mean);
      kernel::max_pool2d_backward[cuda](problem, gpu_grad, gpu_winners, gpu_max_grad, false);
      kernel::avg_pool2d_backward[cuda](problem, gpu_grad, gpu_mean_grad, false);
      expect_plain(gpu_y, y), expect_plain(gpu_mean, mean);
      expect_plain(gpu_max_grad, max_grad), expect_plain(gpu_mean_grad, mean_grad);
    }
  }
}

}  // namespace dnn::simt::test
