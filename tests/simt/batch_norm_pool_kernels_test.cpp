// Batch normalisation with ReLU and max pooling behind it, against the kernels of the two.
#include <gmock/gmock.h>

#include "core/kernels/all.h"
#include "tests/simt/kernel_check.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {
namespace {

constexpr Layout last = Layout::channels_last;

kernel::PoolProblem pooling(const Shape& x, int64_t window, int64_t stride, int64_t padding) {
  const auto size = [&](int64_t in) { return (in + 2 * padding - window) / stride + 1; };
  return {x, {x[0], x[1], size(x[2]), size(x[3])}, window, stride, padding};
}

TEST(BatchNormPoolKernels, AreTheTwoInOne) {
  for (const auto& problem : {pooling({2, 16, 9, 7}, 3, 2, 1), pooling({1, 8, 24, 23}, 3, 2, 1),
                              pooling({2, 264, 4, 4}, 2, 2, 0), pooling({2, 8, 5, 6}, 3, 1, 1)}) {
    for (const DType type : {DType::float32, DType::float16, DType::bfloat16}) {
      const Shape c{problem.input[1]};
      const Tensor x = to_gpu(uniform(problem.input, type, -1, 4), last),
                   weight = gpu(uniform(c, DType::float32, -1, 2));
      const Tensor bias = gpu(uniform(c)), run_mean = uniform(c), run_var = uniform(c, DType::float32, 0.5, 2);
      const auto parameter = [&] { return gpu_like(weight); };
      const Tensor mean = parameter(), inv_std = parameter(), batches = gpu(zeros({}, {.dtype = DType::int64}));
      const kernel::RunningStatistics running_1{gpu(run_mean), gpu(run_var), batches, 0.1};
      const Tensor y = blank(problem.input, type, last), pooled = blank(problem.output, type, last);
      const Tensor winners = blank(problem.output, DType::uint8, last);
      kernel::batch_norm_train[cuda](x, weight, bias, {}, Activation::relu, 1e-5, running_1, mean, inv_std, y);
      kernel::max_pool2d_forward[cuda](problem, y, pooled, winners);

      bool fits = false;
      kernel::batch_norm_pool_fits[cuda](problem, x, &fits);
      ASSERT_TRUE(fits);
      const Tensor both_mean = parameter(), both_inv_std = parameter(),
                   more_batches = gpu(zeros({}, {.dtype = DType::int64}));
      const kernel::RunningStatistics running_2{gpu(run_mean), gpu(run_var), more_batches, 0.1};
      const Tensor both = blank(problem.output, type, last), both_winners = blank(problem.output, DType::uint8, last);
      kernel::batch_norm_pool_train[cuda](problem, x, weight, bias, 1e-5, running_2, both_mean, both_inv_std, both,
                                          both_winners);
      expect_same(both, pooled), expect_same(both_winners, winners);
      expect_same(both_mean, mean), expect_same(both_inv_std, inv_std);
      expect_same(running_2.mean, running_1.mean), expect_same(running_2.var, running_1.var);
      EXPECT_EQ(more_batches.item(), 1);
      kernel::batch_norm_pool_train[cuda](problem, x, weight, bias, 1e-5, running_2, both_mean, both_inv_std, both, {});
      expect_same(both, pooled);

      const Tensor grad = to_gpu(uniform(problem.output, type), last), between = blank(problem.input, type, last);
      kernel::max_pool2d_backward[cuda](problem, grad, winners, between, false);
      for (const bool accumulate : {true, false}) {
        const Tensor before = uniform(problem.input, type), before_weight = uniform(c), before_bias = uniform(c);
        const auto gradients = [&] {
          return kernel::BatchNormGradients{.input = to_gpu(before, last),
                                            .weight = gpu(before_weight),
                                            .bias = gpu(before_bias),
                                            .add = {},
                                            .accumulate_input = accumulate,
                                            .accumulate_weight = accumulate,
                                            .accumulate_bias = !accumulate};
        };
        const kernel::BatchNormGradients expected = gradients(), actual = gradients();
        kernel::batch_norm_backward[cuda](between, x, y, weight, bias, mean, inv_std, Activation::relu, true, expected);
        kernel::batch_norm_pool_backward[cuda](problem, grad, winners, x, weight, bias, mean, inv_std, actual);
        expect_near(actual.input, expected.input, unit(type));
        expect_near(actual.weight, expected.weight, 8 * unit(DType::float32));
        expect_near(actual.bias, expected.bias, 8 * unit(DType::float32));
        kernel::BatchNormGradients one;
        one.bias = gpu(before_bias), one.accumulate_bias = !accumulate;
        kernel::batch_norm_pool_backward[cuda](problem, grad, winners, x, weight, bias, mean, inv_std, one);
        expect_same(one.bias, actual.bias);
      }
    }
  }
}

TEST(BatchNormPoolKernels, TwoLaunchesEachWay) {
  const Shape shape{2, 16, 8, 8};
  Tensor weight = gpu(ones({16})), bias = gpu(ones({16}));
  weight.set_requires_grad(), bias.set_requires_grad();
  const Tensor x = to_gpu(uniform(shape, DType::bfloat16), last);
  const Tensor grad = to_gpu(uniform({2, 16, 4, 4}, DType::bfloat16), last);
  drain(), start_trace();
  const Tensor y = batch_norm_max_pool2d(x, weight, bias, {}, {}, {.activation = Activation::relu},
                                         {.kernel = 3, .stride = 2, .padding = 1});
  EXPECT_EQ(detail::layout_of(y), last);
  y.backward(grad);
  drain();
  EXPECT_THAT(take_trace(),
              ::testing::ElementsAre("reduce_channels_last_kernel", "batch_norm_pool_forward_packed_kernel",
                                     "reduce_channels_last_kernel"));
}

TEST(BatchNormPoolKernels, NanWins) {
  Tensor x = uniform({1, 8, 6, 6});
  x.data<float>()[2 * 36 + 8] = NAN;
  const Tensor one = gpu(ones({8}));
  const Tensor y = back(batch_norm_max_pool2d(to_gpu(x, last), one, one, {}, {}, {.activation = Activation::relu}, {}));
  const auto values = y.to_vector<float>();
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(std::isnan(values[i]), i / 9 == 2) << i;
}

}  // namespace
}  // namespace dnn::simt::test
