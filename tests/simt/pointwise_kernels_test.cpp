// Predicates, the choice by condition and random integers, against the CPU's: every functor, type and path.
#include <gtest/gtest.h>

#include <cmath>

#include "core/kernels/all.h"
#include "tests/simt/kernel_check.h"

namespace dnn::simt::test {

// Whole numbers, so that many are equal, with NaN and infinities where the type has them.
Tensor mixed(const Shape& shape, DType type) {
  Tensor t = uniform(shape, DType::float64, -2, 3).to(DType::int64).to(DType::float64);
  double* data = t.data<double>();
  if (is_floating(type))
    for (int64_t i = 0; i < t.numel(); i += 7) data[i] = i % 2 == 0 ? NAN : i % 3 == 0 ? INFINITY : -INFINITY;
  else
    for (int64_t i = 0; i < t.numel(); ++i) data[i] = std::abs(data[i]);
  return t.to(type);
}

TEST(PredicateKernels, OfOneTensor) {
  functor::for_each(functor::UnaryPredicates{}, []<class F>(F f) {
    SCOPED_TRACE(F::name);
    for (const DType type : all_types) {
      const Tensor x = mixed({1003}, type);
      const Tensor out = detail::allocate({1003}, DType::boolean, cpu), gpu_out = gpu_like(out);
      kernel::unary_predicate<F>[cpu](f, x, out);
      kernel::unary_predicate<F>[cuda](f, gpu(x), gpu_out);
      expect_same(gpu_out, out);
    }
  });
}

TEST(PredicateKernels, OfTwoTensorsBroadcastAndNot) {
  const Shape shape{7, 3, 11};
  functor::for_each(functor::BinaryPredicates{}, [&]<class F>(F f) {
    SCOPED_TRACE(F::name);
    for (const DType type : all_types) {
      const Tensor a = mixed(shape, type), b = mixed(shape, type), row = mixed({11}, type);
      const Tensor out = detail::allocate(shape, DType::boolean, cpu), gpu_out = gpu_like(out);
      kernel::binary_predicate<F>[cpu](f, a, b, out);
      kernel::binary_predicate<F>[cuda](f, gpu(a), gpu(b), gpu_out);
      expect_same(gpu_out, out);
      // A view is made on the GPU, since a copy there is contiguous.
      kernel::binary_predicate<F>[cpu](f, a, row.expand(shape), out);
      kernel::binary_predicate<F>[cuda](f, gpu(a), gpu(row).expand(shape), gpu_out);
      expect_same(gpu_out, out);
    }
  });
}

TEST(WhereKernel, MovesEveryType) {
  const Shape shape{7, 3, 11};
  const Tensor condition = mixed(shape, DType::boolean), column = mixed({7, 1, 1}, DType::boolean);
  for (const DType type : all_types) {
    const Tensor a = uniform(shape, DType::float64, 0, 100).to(type),
                 b = uniform({11}, DType::float64, 0, 100).to(type);
    const Tensor out = detail::allocate(shape, type, cpu), gpu_out = gpu_like(out);
    kernel::where[cpu](condition, a, b.expand(shape), out);
    kernel::where[cuda](gpu(condition), gpu(a), gpu(b).expand(shape), gpu_out);
    expect_same(gpu_out, out);
    kernel::where[cpu](column.expand(shape), b.expand(shape), a, out);
    kernel::where[cuda](gpu(column).expand(shape), gpu(b).expand(shape), gpu(a), gpu_out);
    expect_same(gpu_out, out);
  }
}

TEST(RandomIntegerKernel, DrawsWhatTheCpuDraws) {
  for (const DType type : all_types) {
    if (type == DType::boolean) continue;
    for (const int64_t n : {0, 1, 2, 1003}) {
      const Tensor out = detail::allocate({n}, type, cpu), gpu_out = gpu_like(out);
      kernel::random_integers[cpu](out, 3, 120, {5, 7});
      kernel::random_integers[cuda](gpu_out, 3, 120, {5, 7});
      expect_same(gpu_out, out);
    }
  }
}

}  // namespace dnn::simt::test
