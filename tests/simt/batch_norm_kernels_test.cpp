// Batch normalisation against the CPU's: every element type, layout and path, what it launches, hard numbers.
#include <gmock/gmock.h>

#include "core/kernels/all.h"
#include "cuda/context.h"
#include "tests/simt/kernel_check.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {
namespace {

using ::testing::ElementsAre;

struct NormCase {
  Shape shape;
  Layout layout;
};

// Channels that fill whole packs of every type or of float32 alone, or none; more of them than a block takes; numbers
// that leave threads idle; one row to a thread and many, with and without a rest; one pixel to an image.
const NormCase norm_cases[] = {{{4, 16, 5, 3}, Layout::plain},
                               {{4, 16, 5, 3}, Layout::channels_last},
                               {{4, 16, 5, 3}, Layout::blocked8},
                               {{4, 16, 5, 3}, Layout::blocked16},
                               {{2, 3, 40, 50}, Layout::plain},
                               {{2, 3, 40, 50}, Layout::channels_last},
                               {{2, 12, 7, 9}, Layout::channels_last},
                               {{2, 8, 41, 50}, Layout::channels_last},
                               {{3, 264, 5, 7}, Layout::channels_last},
                               {{1, 48, 37, 41}, Layout::channels_last},
                               {{2, 8, 1, 1}, Layout::plain},
                               {{300, 5, 1, 1}, Layout::plain},
                               {{300, 24, 1, 1}, Layout::channels_last},
                               {{70, 40, 1, 1}, Layout::plain}};

DType wide_type(DType type) { return type == DType::float64 ? DType::float64 : DType::float32; }

// The tensors of one call, on both devices.
struct Norm {
  Norm(const NormCase& test, DType type, bool adds) : layout(test.layout) {
    const DType wide = wide_type(type);
    const Shape c{test.shape[1]};
    x = uniform(test.shape, type, -1, 4), weight = uniform(c, wide, 0.5, 2), bias = uniform(c, wide);
    if (adds) add = uniform(test.shape, type);
    gpu_x = to_gpu(x, layout), gpu_add = to_gpu(add, layout), gpu_weight = gpu(weight), gpu_bias = gpu(bias);
    mean = empty_like(weight), inv_std = empty_like(weight), y = empty_like(x);
    gpu_mean = gpu_like(weight), gpu_inv_std = gpu_like(weight), gpu_y = gpu_like(gpu_x);
    running = {uniform(c, wide), uniform(c, wide, 0.5, 2), ones({}, {.dtype = DType::int64}), 0.2};
    gpu_running = {gpu(running.mean), gpu(running.var), gpu(running.batches), 0.2};
  }
  void train(Activation activation) const {
    kernel::batch_norm_train[cpu](x, weight, bias, add, activation, 1e-5, running, mean, inv_std, y);
    kernel::batch_norm_train[cuda](gpu_x, gpu_weight, gpu_bias, gpu_add, activation, 1e-5, gpu_running, gpu_mean,
                                   gpu_inv_std, gpu_y);
  }
  // Gradients to be written to, some with numbers in them already; and the same on the GPU.
  kernel::BatchNormGradients gradients(bool accumulate) const {
    return {.input = uniform(x.shape(), x.dtype()),
            .weight = uniform(weight.shape(), weight.dtype()),
            .bias = uniform(weight.shape(), weight.dtype()),
            .add = add.defined() ? empty_like(x) : Tensor(),
            .accumulate_input = accumulate,
            .accumulate_weight = accumulate,
            .accumulate_bias = !accumulate};
  }
  kernel::BatchNormGradients on_gpu(const kernel::BatchNormGradients& gradients) const {
    kernel::BatchNormGradients result = gradients;
    result.input = to_gpu(gradients.input, layout), result.add = add.defined() ? gpu_like(gpu_x) : Tensor();
    result.weight = gpu(gradients.weight), result.bias = gpu(gradients.bias);
    return result;
  }

  Layout layout;
  Tensor x, add, weight, bias, mean, inv_std, y;
  Tensor gpu_x, gpu_add, gpu_weight, gpu_bias, gpu_mean, gpu_inv_std, gpu_y;
  kernel::RunningStatistics running, gpu_running;
};

class BatchNormKernels : public ::testing::TestWithParam<NormCase> {};

TEST_P(BatchNormKernels, TrainingAndInferenceForwardAndBackward) {
  for (const DType type : floating_types) {
    if (type == DType::float64 && GetParam().layout != Layout::plain) continue;
    // In float64 the variance of a pair is what is left of two squares.
    const double least = type == DType::float64 ? 1e-10 : 0;
    const double tolerance = std::max(least, 8 * unit(type)), exact = std::max(least, 8 * unit(wide_type(type)));
    for (const bool adds : {true, false}) {
      const Norm norm(GetParam(), type, adds);
      norm.train(Activation::relu);
      expect_near(back(norm.gpu_y), norm.y, tolerance);
      expect_near(norm.gpu_mean, norm.mean, exact);
      expect_near(norm.gpu_inv_std, norm.inv_std, exact);
      expect_near(norm.gpu_running.mean, norm.running.mean, exact);
      expect_near(norm.gpu_running.var, norm.running.var, exact);
      EXPECT_EQ(norm.running.batches.item(), 2);
      EXPECT_EQ(norm.gpu_running.batches.item(), 2);

      const Tensor quiet = empty_like(norm.x), gpu_quiet = gpu_like(norm.gpu_x);
      kernel::batch_norm_infer[cpu](norm.x, norm.weight, norm.bias, norm.add, Activation::none, 1e-5, norm.running.mean,
                                    norm.running.var, quiet);
      kernel::batch_norm_infer[cuda](norm.gpu_x, norm.gpu_weight, norm.gpu_bias, norm.gpu_add, Activation::none, 1e-5,
                                     gpu(norm.running.mean), gpu(norm.running.var), gpu_quiet);
      expect_near(back(gpu_quiet), quiet, tolerance);

      // The sign behind the ReLU is that of the GPU's own output, whether the kernels read it or compute it anew.
      const Tensor grad = uniform(norm.x.shape(), type), gpu_grad = to_gpu(grad, norm.layout);
      const Tensor cpu_y = back(norm.gpu_y), gpu_y = to_gpu(cpu_y, norm.layout);
      const Tensor shift = adds ? Tensor() : norm.gpu_bias;
      for (const bool training : {true, false}) {
        const kernel::BatchNormGradients out = norm.gradients(training), gpu_out = norm.on_gpu(out);
        kernel::batch_norm_backward[cpu](grad, norm.x, cpu_y, norm.weight, {}, norm.mean, norm.inv_std,
                                         Activation::relu, training, out);
        kernel::batch_norm_backward[cuda](gpu_grad, norm.gpu_x, gpu_y, norm.gpu_weight, shift, norm.gpu_mean,
                                          norm.gpu_inv_std, Activation::relu, training, gpu_out);
        expect_near(back(gpu_out.input), out.input, tolerance);
        if (adds) expect_same(back(gpu_out.add), out.add);
        expect_near(gpu_out.weight, out.weight, tolerance);
        expect_near(gpu_out.bias, out.bias, tolerance);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, BatchNormKernels, ::testing::ValuesIn(norm_cases));

TEST(BatchNormPaths, OnlyWhatIsWanted) {
  for (const int64_t channels : {5, 8}) {
    const NormCase test{{3, channels, 2, 2}, Layout::channels_last};
    for (const Activation activation : {Activation::none, Activation::relu}) {
      for (const bool adds : {true, false}) {
        const Norm norm(test, DType::float32, adds);
        norm.train(activation);
        const Tensor grad = to_gpu(uniform(test.shape), norm.layout), y = norm.gpu_y;
        const auto blank_like_x = [&] { return gpu_like(norm.gpu_x); };
        const auto blank_like_c = [&] { return gpu_like(norm.gpu_weight); };
        for (const bool training : {true, false}) {
          const auto run = [&](const kernel::BatchNormGradients& out) {
            kernel::batch_norm_backward[cuda](grad, norm.gpu_x, y, norm.gpu_weight, adds ? Tensor() : norm.gpu_bias,
                                              norm.gpu_mean, norm.gpu_inv_std, activation, training, out);
          };
          kernel::BatchNormGradients all{.input = blank_like_x(),
                                         .weight = blank_like_c(),
                                         .bias = blank_like_c(),
                                         .add = adds ? blank_like_x() : Tensor()};
          run(all);
          kernel::BatchNormGradients input, weight, bias, add, two;
          input.input = blank_like_x(), weight.weight = blank_like_c(), bias.bias = blank_like_c();
          run(input), expect_same(input.input, all.input);
          run(weight), expect_same(weight.weight, all.weight);
          run(bias), expect_same(bias.bias, all.bias);
          if (!adds) continue;
          add.add = blank_like_x(), two.add = blank_like_x(), two.bias = blank_like_c();
          run(add), expect_same(add.add, all.add);
          run(two), expect_same(two.add, all.add), expect_same(two.bias, all.bias);
        }
      }
    }
  }
}

// ---- what is launched and read --------------------------------------------------------------------------------------

template <class Call>
std::vector<std::string> launches_of(const Call& call) {
  drain();
  start_trace();
  call();
  drain();
  return take_trace();
}

TEST(BatchNormPaths, APassOverPacksTakesTwoLaunches) {
  for (const DType type : {DType::float32, DType::float16, DType::bfloat16}) {
    for (const bool adds : {true, false}) {
      const Norm norm({{2, 16, 41, 50}, Layout::channels_last}, type, adds);
      const Tensor grad = to_gpu(uniform(norm.x.shape(), type), norm.layout);
      const kernel::BatchNormGradients out = norm.on_gpu(norm.gradients(true));
      EXPECT_THAT(launches_of([&] {
                    kernel::batch_norm_train[cuda](norm.gpu_x, norm.gpu_weight, norm.gpu_bias, norm.gpu_add,
                                                   Activation::relu, 1e-5, norm.gpu_running, norm.gpu_mean,
                                                   norm.gpu_inv_std, norm.gpu_y);
                  }),
                  ElementsAre("reduce_channels_last_kernel", "batch_norm_apply_packed_kernel"));
      // Where nothing was added, y is not read: it need not be there.
      EXPECT_THAT(launches_of([&] {
                    kernel::batch_norm_backward[cuda](grad, norm.gpu_x, adds ? norm.gpu_y : Tensor(), norm.gpu_weight,
                                                      adds ? Tensor() : norm.gpu_bias, norm.gpu_mean, norm.gpu_inv_std,
                                                      Activation::relu, true, out);
                  }),
                  ElementsAre("reduce_channels_last_kernel", "batch_norm_backward_packed_kernel"));
    }
  }
}

TEST(BatchNormPaths, TheGradientOfWhatIsAddedWithoutActivationIsTheOutputs) {
  const Tensor x = gpu(uniform({2, 8, 3, 3})), weight = gpu(uniform({8})), bias = gpu(uniform({8}));
  Tensor add = gpu(uniform({2, 8, 3, 3}));
  add.set_requires_grad();
  const Tensor y = batch_norm(x, weight, bias, {}, {}, {.add = add}), grad = gpu(uniform({2, 8, 3, 3}));
  EXPECT_THAT(launches_of([&] { y.backward(grad); }), ElementsAre("copy")) << "to the leaf's own memory";
  expect_same(add.grad(), grad);
}

TEST(BatchNormPaths, TheLastBlocksLeaveTheirCountersAtZero) {
  const Norm norm({{3, 264, 5, 7}, Layout::channels_last}, DType::bfloat16, false);
  norm.train(Activation::none);
  cuda::Context& context = cuda::Context::of(0);
  std::vector<unsigned> tickets(static_cast<size_t>(cuda::Context::ticket_count), 1u);
  context.to_host(tickets.data(), context.tickets(), static_cast<int64_t>(tickets.size() * sizeof(unsigned)));
  EXPECT_THAT(tickets, ::testing::Each(0u));
}

// ---- hard numbers ---------------------------------------------------------------------------------------------------

// The largest relative error of the variance, eps = 0 as good as.
double variance_error(const Tensor& x) {
  const Shape c{x.size(1)};
  const Tensor exact_x = x.to(DType::float64), weight = ones(c, {.dtype = DType::float64});
  const Tensor mean = empty_like(weight), inv_std = empty_like(weight), y = empty_like(exact_x);
  kernel::batch_norm_train[cpu](exact_x, weight, weight, {}, Activation::none, 1e-12, {}, mean, inv_std, y);
  const Tensor one = gpu(ones(c)), gpu_mean = gpu_like(one), gpu_inv_std = gpu_like(one);
  const Tensor gpu_x = to_gpu(x, Layout::channels_last), gpu_y = gpu_like(gpu_x);
  kernel::batch_norm_train[cuda](gpu_x, one, one, {}, Activation::none, 1e-12, {}, gpu_mean, gpu_inv_std, gpu_y);
  const auto means = raw_values(mean), gpu_means = raw_values(gpu_mean);
  const auto expected = raw_values(inv_std), actual = raw_values(gpu_inv_std);
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(gpu_means[i], means[i], 1e-7 * (std::abs(means[i]) + 1 / expected[i]));
    worst = std::max(worst, 2 * std::abs(actual[i] - expected[i]) / expected[i]);
  }
  return worst;
}

TEST(BatchNormPaths, AMeanFarBeyondTheDeviationCostsNoDigits) {
  for (const double mean : {0.0, 1e3, -1e5}) {
    const Tensor x = uniform({4, 8, 40, 40}, DType::float32, mean - 1, mean + 1);
    EXPECT_LT(variance_error(x), 2e-6) << mean;
  }
  for (const DType type : {DType::float16, DType::bfloat16})
    EXPECT_LT(variance_error(uniform({4, 8, 40, 40}, type, 100, 104)), 2e-6);
}

// What a thread meets first is what it measures from; the error grows with the square of how odd that is.
TEST(BatchNormPaths, AnOddFirstPixelCostsLittle) {
  Tensor x = uniform({4, 8, 40, 40}, DType::float32, 999, 1001);
  float* const values = x.data<float>();
  for (int64_t c = 0; c < 8; ++c) values[c * 1600] = 0;
  EXPECT_LT(variance_error(x), 2e-5);
}

TEST(BatchNormPaths, NanAndInfinityStayInTheirChannels) {
  Tensor x = uniform({2, 8, 9, 9});
  const Tensor clean = x.clone();
  x.data<float>()[3 * 81 + 7] = NAN;
  x.data<float>()[4 * 81] = INFINITY;
  x.data<float>()[13 * 81 + 80] = -INFINITY;  // channel 5 of the second image
  for (const DType type : {DType::float32, DType::float16, DType::bfloat16}) {
    const Tensor one = gpu(ones({8})), mean = gpu_like(one), inv_std = gpu_like(one);
    const auto normalised = [&](const Tensor& input) {
      const Tensor gpu_x = to_gpu(input.to(type), Layout::channels_last), y = gpu_like(gpu_x);
      kernel::batch_norm_train[cuda](gpu_x, one, one, {}, Activation::relu, 1e-5, {}, mean, inv_std, y);
      return back(y).to(DType::float32).to_vector<float>();
    };
    const auto expected = normalised(clean), actual = normalised(x);
    for (size_t i = 0; i < actual.size(); ++i) {
      const size_t c = i / 81 % 8;
      if (c >= 3 && c <= 5)
        EXPECT_TRUE(std::isnan(actual[i])) << i;
      else
        EXPECT_EQ(actual[i], expected[i]) << i;
    }
  }
}

}  // namespace
}  // namespace dnn::simt::test
