// The kernels that work on images, against the CPU's: every layout, element type and path.
#include <gtest/gtest.h>

#include "core/kernels/all.h"
#include "cuda/context.h"
#include "cuda/kernels.h"
#include "tests/simt/kernel_check.h"

namespace dnn::simt::test {

TEST(RelayoutKernels, EveryPairOfLayouts) {
  for (const Shape& shape :
       {Shape{2, 16, 5, 7}, Shape{1, 48, 1, 1}, Shape{3, 32, 9, 8}, Shape{1, 80, 7, 10}, Shape{70, 16, 5, 7}}) {
    for (const Layout from : all_layouts) {
      for (const Layout to : all_layouts) {
        const Tensor source = uniform(shape), on_gpu = gpu(source);
        const Tensor expected = empty_like(source), actual = gpu_like(source);
        kernel::relayout[cpu](detail::raw(source), from, detail::raw(expected), to, shape, 4);
        kernel::relayout[cuda](detail::raw(on_gpu), from, detail::raw(actual), to, shape, 4);
        expect_same(actual, expected);
        const Tensor half = gpu(source.to(DType::bfloat16)), actual_half = gpu_like(half);
        kernel::relayout[cuda](detail::raw(half), from, detail::raw(actual_half), to, shape, 2);
        expect_same(actual_half, expected.to(DType::bfloat16));
      }
    }
  }
  const Tensor odd = uniform({2, 5, 33, 3}), actual = gpu_like(odd), expected = empty_like(odd);
  kernel::relayout[cpu](detail::raw(odd), Layout::plain, detail::raw(expected), Layout::channels_last, odd.shape(), 4);
  kernel::relayout[cuda](detail::raw(gpu(odd)), Layout::plain, detail::raw(actual), Layout::channels_last, odd.shape(),
                         4);
  expect_same(actual, expected);
}

TEST(RelayoutKernels, AddEveryPairOfLayouts) {
  for (const Shape& shape : {Shape{2, 16, 5, 7}, Shape{70, 16, 5, 7}, Shape{1, 48, 9, 8}}) {
    for (const DType type : floating_types) {
      for (const Layout from : all_layouts) {
        for (const Layout to : all_layouts) {
          const Tensor source = uniform(shape, type), before = uniform(shape, type);
          if (type == DType::float64 && (from != Layout::plain || to != Layout::plain)) continue;
          const Tensor actual = laid_out(gpu(before), to);
          cuda::relayout_add(laid_out(gpu(source), from), actual);
          detail::make_plain(actual);
          expect_near(actual, source + before, unit(type));
        }
      }
    }
  }
}

TEST(SameBytesKernel, FindsTheOneThatDiffers) {
  cuda::Context& context = cuda::Context::of(0);
  const Tensor a = uniform({1001}, DType::float16);
  for (const int64_t at : {0, 500, 1000}) {
    const Tensor b = a.clone();
    const Tensor same = gpu(b);
    EXPECT_TRUE(cuda::same_bytes(context, detail::raw(gpu(a)), detail::raw(same), 2002));
    reinterpret_cast<uint8_t*>(b.data<float16>())[2 * at + 1] ^= 1;
    EXPECT_FALSE(cuda::same_bytes(context, detail::raw(gpu(a)), detail::raw(gpu(b)), 2002));
  }
}

TEST(AugmentKernels, TheBitsOfTheCpuInEveryLayoutAndType) {
  const Tensor images = randint(0, 256, {6, 3, 7, 6}, {.dtype = DType::uint8});
  const Tensor some = tensor({5, 0, 3, 3}, {4}, {.dtype = DType::int64});
  const detail::Draw draw{.seed = 7, .stream = 2};
  kernel::AugmentProblem p{.images = 6, .channels = 3, .height = 7, .width = 6, .rows = 5, .columns = 8};
  p.pad_height = 2, p.pad_width = 3, p.flip_below = uint32_t{1} << 31;
  p.mean.fill(0.4f), p.deviation.fill(0.3f);
  for (const DType type : floating_types) {
    for (const Layout layout : {Layout::plain, Layout::channels_last}) {
      if (type == DType::float64 && layout != Layout::plain) continue;
      for (const Tensor& indices : {Tensor(), some}) {
        for (const bool reflect : {false, true}) {
          p.reflect = reflect;
          const Tensor expected = detail::allocate({indices.defined() ? 4 : 6, 3, 5, 8}, type, cpu);
          kernel::augment[cpu](p, images, indices, draw, expected);
          const Tensor actual = gpu_like(expected);
          detail::set_layout(actual, layout);
          kernel::augment[cuda](p, gpu(images), gpu(indices), draw, actual);
          detail::make_plain(actual);
          expect_same(actual, expected);
        }
      }
    }
  }
}

TEST(ChannelSumKernels, EveryLayoutAndType) {
  for (const DType type : floating_types) {
    for (const Layout layout : all_layouts) {
      for (const Shape& shape : {Shape{3, 16, 5, 5}, Shape{2, 32, 40, 40}, Shape{70, 16, 1, 1}}) {
        const Tensor x = uniform(shape, type), before = uniform({shape[1]}, type);
        const Tensor expected = before.clone(), actual = gpu(before);
        kernel::channel_sum[cpu](x, expected, true);
        kernel::channel_sum[cuda](laid_out(gpu(x), layout), actual, true);
        expect_near(actual, expected, 2 * unit(type));
      }
    }
  }
}

TEST(DropoutKernels, DropTheCpusElementsInEveryLayout) {
  for (const Shape& shape : {Shape{1003}, Shape{2, 5, 3, 3}, Shape{2, 16, 5, 3}, Shape{3, 7, 11}, Shape{1, 4, 1, 1}}) {
    for (const DType type : floating_types) {
      for (const Layout layout : all_layouts) {
        const Tensor x = laid_out(uniform(shape, type), layout), before = laid_out(uniform(shape, type), layout);
        for (const double p : {0.3, 1.0}) {
          const Tensor expected = before.clone(), actual = laid_out(gpu(before), layout);
          detail::make_plain(expected);
          const Tensor plain = x.clone();
          detail::make_plain(plain);
          kernel::dropout[cpu](plain, p, {3, 4}, expected, true);
          kernel::dropout[cuda](laid_out(gpu(plain), layout), p, {3, 4}, actual, true);
          detail::make_plain(actual);
          expect_near(actual, expected, unit(type));
        }
      }
    }
  }
}

// ---- pooling --------------------------------------------------------------------------------------------------------

kernel::PoolProblem pool_problem(const Shape& input, Size2 kernel, Size2 stride, Size2 padding, bool count_padding) {
  const auto out = [](int64_t size, int64_t k, int64_t s, int64_t p) { return (size + 2 * p - k) / s + 1; };
  const Shape output{input[0], input[1], out(input[2], kernel.h, stride.h, padding.h),
                     out(input[3], kernel.w, stride.w, padding.w)};
  return {input, output, kernel, stride, padding, count_padding};
}

TEST(PoolKernels, EveryLayoutAndType) {
  const Shape shape{2, 16, 9, 7};
  for (const auto& problem : {pool_problem(shape, 2, 2, 0, true), pool_problem(shape, {3, 2}, {2, 1}, {1, 1}, false),
                              pool_problem(shape, 3, 1, 1, true), pool_problem(shape, {2, 3}, 4, 0, true)}) {
    for (const DType type : floating_types) {
      Tensor x = uniform(shape, DType::float64, 0, 6).to(DType::uint8).to(type);  // with equals
      const Tensor y = detail::allocate(problem.output, type, cpu);
      const Tensor winners = detail::allocate(problem.output, DType::uint8, cpu);
      const Tensor mean = detail::allocate(problem.output, type, cpu), grad = uniform(problem.output, type);
      const Tensor max_grad = uniform(shape, type), mean_grad = uniform(shape, type);
      const Tensor gpu_max_before = gpu(max_grad), gpu_mean_before = gpu(mean_grad);
      kernel::max_pool2d_forward[cpu](problem, x, y, winners);
      kernel::avg_pool2d_forward[cpu](problem, x, mean);
      kernel::max_pool2d_backward[cpu](problem, grad, winners, max_grad, true);
      kernel::avg_pool2d_backward[cpu](problem, grad, mean_grad, true);
      for (const Layout layout : all_layouts) {
        if (type == DType::float64 && layout != Layout::plain) continue;
        const Tensor gpu_x = to_gpu(x, layout), gpu_grad = to_gpu(grad, layout);
        const Tensor gpu_y = blank(problem.output, type, layout), gpu_mean = blank(problem.output, type, layout);
        const Tensor gpu_winners = blank(problem.output, DType::uint8, layout);
        kernel::max_pool2d_forward[cuda](problem, gpu_x, gpu_y, gpu_winners);
        kernel::avg_pool2d_forward[cuda](problem, gpu_x, gpu_mean);
        const Tensor gpu_max_grad = laid_out(gpu_max_before, layout), gpu_mean_grad = laid_out(gpu_mean_before, layout);
        kernel::max_pool2d_backward[cuda](problem, gpu_grad, gpu_winners, gpu_max_grad, true);
        kernel::avg_pool2d_backward[cuda](problem, gpu_grad, gpu_mean_grad, true);
        expect_same(back(gpu_y), y);
        expect_near(back(gpu_mean), mean, unit(type));
        expect_near(back(gpu_max_grad), max_grad, 2 * unit(type));
        expect_near(back(gpu_mean_grad), mean_grad, 2 * unit(type));
      }
    }
  }
}

TEST(PoolKernels, NanWinsAndLargeWindowsHaveWideWinners) {
  Tensor x = uniform({1, 1, 18, 18});
  x.data<float>()[7] = NAN, x.data<float>()[9] = NAN;
  const auto problem = pool_problem(x.shape(), 17, 1, 0, true);
  const Tensor y = detail::allocate(problem.output, DType::float32, cpu), gpu_y = gpu_like(y);
  const Tensor winners = detail::allocate(problem.output, DType::int32, cpu), gpu_winners = gpu_like(winners);
  kernel::max_pool2d_forward[cpu](problem, x, y, winners);
  kernel::max_pool2d_forward[cuda](problem, gpu(x), gpu_y, gpu_winners);
  expect_same(gpu_y, y);
  expect_same(gpu_winners, winners);
  kernel::max_pool2d_forward[cuda](problem, gpu(x), gpu_y, {});
  expect_same(gpu_y, y);
}

// ---- interpolation --------------------------------------------------------------------------------------------------

kernel::InterpolateProblem interpolate_problem(const Shape& input, Size2 size, bool linear, bool corners) {
  const auto sampling = [&](int64_t in, int64_t out) {
    const auto a = static_cast<double>(in), b = static_cast<double>(out);
    return kernel::Sampling{in, out, corners ? (a - 1) / (b - 1) : a / b, linear, corners};
  };
  return {input, {input[0], input[1], size.h, size.w}, sampling(input[2], size.h), sampling(input[3], size.w)};
}

TEST(InterpolateKernels, EveryLayoutAndType) {
  const Shape shape{2, 16, 5, 7};
  for (const auto& problem :
       {interpolate_problem(shape, {10, 14}, false, false), interpolate_problem(shape, {3, 9}, false, false),
        interpolate_problem(shape, {10, 4}, true, false), interpolate_problem(shape, {3, 16}, true, true)}) {
    for (const DType type : floating_types) {
      const Tensor x = uniform(shape, type), grad = uniform(problem.output, type), before = uniform(shape, type);
      const Tensor y = detail::allocate(problem.output, type, cpu), grad_input = before.clone();
      kernel::interpolate_forward[cpu](problem, x, y);
      kernel::interpolate_backward[cpu](problem, grad, grad_input, true);
      for (const Layout layout : all_layouts) {
        if (type == DType::float64 && layout != Layout::plain) continue;
        const Tensor gpu_y = blank(problem.output, type, layout), gpu_grad_input = to_gpu(before, layout);
        kernel::interpolate_forward[cuda](problem, to_gpu(x, layout), gpu_y);
        kernel::interpolate_backward[cuda](problem, to_gpu(grad, layout), gpu_grad_input, true);
        expect_near(back(gpu_y), y, 2 * unit(type));
        expect_near(back(gpu_grad_input), grad_input, 2 * unit(type));
      }
    }
  }
}

}  // namespace dnn::simt::test
