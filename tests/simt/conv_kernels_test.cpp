// The kernel behind a convolution, against plain loops.
#include <gtest/gtest.h>

#include "core/kernels/all.h"
#include "cuda/kernels.h"
#include "tests/simt/kernel_check.h"

namespace dnn::simt::test {

TEST(ConvEpilogueKernels, EveryLayoutTypeAndPart) {
  for (const Shape& shape : {Shape{2, 3, 5, 5}, Shape{3, 16, 4, 4}, Shape{2, 1, 7, 3}, Shape{5, 13, 1, 1}}) {
    for (const DType type : floating_types) {
      for (const Layout layout : {Layout::plain, Layout::channels_last}) {
        for (const int parts : {1, 2, 3, 4, 5, 6, 7}) {
          const Tensor y = uniform(shape, type), bias = uniform({shape[1]}, type), add = uniform(shape, type);
          const bool with_bias = parts & 1, with_add = parts & 2, relu = parts & 4;
          Tensor expected = y.to(DType::float64);
          if (with_bias) expected = expected + bias.to(DType::float64).reshape({1, shape[1], 1, 1});
          if (with_add) expected = expected + add.to(DType::float64);
          if (relu) expected = dnn::relu(expected);
          const Tensor actual = laid_out(gpu(y), layout);
          cuda::conv_epilogue(with_bias ? gpu(bias) : Tensor(), with_add ? laid_out(gpu(add), layout) : Tensor(),
                              relu ? Activation::relu : Activation::none, actual);
          detail::make_plain(actual);
          expect_near(actual.to(cpu).to(DType::float64), expected, unit(type));
        }
      }
    }
  }
}

TEST(ConvEpilogueKernels, NanAndInfinityStay) {
  const Tensor y = full({1, 2, 2, 2}, NAN), infinite = full({1, 2, 2, 2}, INFINITY);
  for (const Tensor& x : {y, infinite}) {
    const Tensor actual = gpu(x);
    cuda::conv_epilogue(gpu(zeros({2})), {}, Activation::relu, actual);
    expect_same(actual, x);
  }
}

}  // namespace dnn::simt::test
