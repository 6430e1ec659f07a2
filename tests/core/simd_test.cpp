// The vectorised CPU kernels, part one: agreement of the variants, and element-wise operations where the operation
// table does not reach: wrap-around, strides, sizes around tiles and threads.
#include <gtest/gtest.h>

#include <limits>

#include "core/kernels/copy.h"
#include "core/kernels/elementwise.h"
#include "core/kernels/loss.h"
#include "core/kernels/reduce.h"
#include "tests/core/variants.h"
#include "tests/harness/errors.h"

namespace dnn {
namespace {

using kernel::ReduceShape;
using namespace test;

// What `run` returns must not depend on the variant beyond rounding.
void expect_agreement(double tolerance, const std::function<Tensor()>& run) {
  std::vector<std::vector<double>> results;
  for_each_variant([&] { results.push_back(numbers(run())); });
  for (const std::vector<double>& result : results) expect_close(result, results.front(), tolerance);
}

TEST(Variants, AgreeInElementwiseOperations) {
  const Shape shape{3, 1999};
  for (const DType dtype : number_types) {
    const auto check_unary = [&]<class F>(const F& f) {
      if (F::floating_only && !is_floating(dtype)) return;
      SCOPED_TRACE(F::name + std::string(" ") + name_of(dtype));
      const Tensor x = some_tensor(shape, dtype, 0.25, 4);
      expect_agreement(4 * epsilon(dtype), [&] {
        const Tensor y = empty_like(x);
        kernel::unary_forward<F>[cpu_device](f, x, y);
        return y;
      });
      if (!is_floating(dtype)) return;
      expect_agreement(8 * epsilon(dtype), [&] {
        const Tensor y = x.clone();
        kernel::unary_backward<F>[cpu_device](f, some_tensor(shape, dtype, -1, 1, 2), x, y, true);
        return y;
      });
    };
    functor::for_each(functor::Unary{}, check_unary);
    functor::for_each(functor::Activations{}, check_unary);
    functor::for_each(functor::Binary{}, [&]<class F>(const F& f) {
      if (F::floating_only && !is_floating(dtype)) return;
      SCOPED_TRACE(F::name + std::string(" ") + name_of(dtype));
      const Tensor a = some_tensor(shape, dtype, 0.5, 4), b = some_tensor(shape, dtype, 0.5, 4, 2);
      expect_agreement(4 * epsilon(dtype), [&] {
        const Tensor y = empty_like(a);
        kernel::binary_forward<F>[cpu_device](f, a, b, y);
        return y;
      });
      if (!is_floating(dtype)) return;
      for (const int operand : {0, 1}) {
        expect_agreement(8 * epsilon(dtype), [&] {
          const Tensor y = a.clone();
          kernel::binary_backward<F>[cpu_device](f, operand, some_tensor(shape, dtype, -1, 1, 3), a, b, y, true);
          return y;
        });
      }
    });
  }
}

TEST(Variants, AgreeInSoftmaxAndCrossEntropy) {
  for (const DType dtype : floating_types) {
    for (const ReduceShape& s : {ReduceShape{5, 1000, 1}, ReduceShape{3, 17, 65}, ReduceShape{7, 3, 1}}) {
      for (const bool logarithm : {false, true}) {
        const Tensor x = some_tensor({s.outer, s.n, s.inner}, dtype, -8, 8);
        expect_agreement(16 * epsilon(dtype), [&] {
          const Tensor y = empty_like(x);
          kernel::softmax_forward[cpu_device](x, s, logarithm, y);
          return y;
        });
      }
    }
    const Tensor logits = some_tensor({37, 100}, dtype, -8, 8);
    const Tensor labels = some_tensor({37}, DType::int32, 0, 100);
    expect_agreement(16 * epsilon(dtype), [&] {
      const Tensor losses = empty({37}, {.dtype = dtype});
      const Tensor log_sums = empty({37, 2}, {.dtype = dtype == DType::float64 ? DType::float64 : DType::float32});
      kernel::cross_entropy_forward[cpu_device](logits, labels, {}, losses, {}, log_sums);
      return losses;
    });
  }
}

TEST(Variants, AgreeInRandomNumbers) {
  expect_agreement(1e-6, [] {
    const Tensor x = empty({100003});
    kernel::random_normal[cpu_device](x, {7, 3});
    return x;
  });
  expect_agreement(0, [] {
    const Tensor x = empty({100003});
    kernel::random_uniform[cpu_device](x, {7, 3});
    return x;
  });
}

TEST(Elementwise, IntegersWrapAround) {
  for_each_variant([] {
    const auto add = [](const Tensor& a, const Tensor& b) {
      const Tensor y = empty_like(a);
      kernel::binary_forward<functor::Add>[cpu_device]({}, a, b, y);
      return y;
    };
    constexpr int64_t most = std::numeric_limits<int64_t>::max();
    EXPECT_EQ(
        add(full({70}, most, {.dtype = DType::int64}), ones({70}, {.dtype = DType::int64})).to_vector<int64_t>()[69],
        std::numeric_limits<int64_t>::min());
    EXPECT_EQ(add(full({70}, 200, {.dtype = DType::uint8}), full({70}, 100, {.dtype = DType::uint8}))
                  .to_vector<uint8_t>()[69],
              44);
    const Tensor x = full({70}, 3, {.dtype = DType::uint8});
    kernel::unary_forward<functor::Affine>[cpu_device]({.scale = -1, .shift = 1}, x, x);
    EXPECT_EQ(x.to_vector<uint8_t>()[69], 254);
  });
}

TEST(Elementwise, AcceptsAnOutputThatIsAnInput) {
  for_each_variant([] {
    const Tensor x = some_tensor({40001}, DType::float32);
    const std::vector<double> before = numbers(x);
    kernel::binary_forward<functor::Add>[cpu_device]({}, x, x, x);
    const std::vector<double> after = numbers(x);
    for (size_t i = 0; i < before.size(); ++i) ASSERT_EQ(after[i], 2 * before[i]);
  });
}

TEST(Elementwise, NaNStaysNaN) {
  for_each_variant([] {
    for (const DType dtype : floating_types) {
      const Tensor x = full({37}, nan, {.dtype = dtype});
      const auto check = [&]<class F>(const F& f) {
        // sign(NaN) is 0, and 1^NaN is 1.
        if (std::is_same_v<F, functor::Sign> || std::is_same_v<F, functor::NumberPow>) return;
        const Tensor y = empty_like(x);
        kernel::unary_forward<F>[cpu_device](f, x, y);
        for (const double value : numbers(y)) ASSERT_TRUE(std::isnan(value)) << F::name << " " << name_of(dtype);
      };
      functor::for_each(functor::Unary{}, check);
      functor::for_each(functor::Activations{}, check);
    }
  });
}

// a - b through the kernel and through single elements, for every arrangement of strides.
TEST(Elementwise, BroadcastsEveryArrangementOfStrides) {
  const Tensor base = some_tensor({2200}, DType::float32, -1, 1, 5);
  const auto view = [&](const Shape& shape, const Strides& strides) {
    return detail::make_view(base, shape, strides, 3);
  };
  struct Case {
    Shape shape;
    Strides a, b;
  };
  const Case cases[] = {
      {{2000}, {1}, {0}},                                // a number
      {{70, 30}, {30, 1}, {0, 1}},                       // per column
      {{70, 30}, {1, 70}, {30, 1}},                      // transposed
      {{2, 5, 50, 4}, {1000, 200, 4, 1}, {0, 1, 0, 0}},  // per channel
      {{2, 3, 1100}, {0, 500, 1}, {400, 1, 0}},          // longer than a tile
      {{40, 50, 30}, {50, 1, 0}, {0, 2, 60}},            // several threads
      {{1, 7, 1}, {0, 3, 9}, {5, 0, 5}},
      {{3, 1, 4, 1, 5, 1, 2, 1}, {40, 0, 10, 0, 2, 0, 1, 0}, {1, 9, 3, 9, 12, 9, 60, 9}},
      {{}, {}, {}},
      {{0, 3}, {3, 1}, {0, 1}},
  };
  for_each_variant([&] {
    for (const Case& c : cases) {
      SCOPED_TRACE(c.shape.str());
      const Tensor a = view(c.shape, c.a), b = view(c.shape, c.b);
      const Tensor y = empty(c.shape);
      kernel::binary_forward<functor::Sub>[cpu_device]({}, a, b, y);
      const Tensor grad_b = zeros(c.shape), grad = ones(c.shape);
      kernel::binary_backward<functor::Mul>[cpu_device]({}, 1, grad, a, b, grad_b, true);
      const float *elements = base.data<float>() + 3, *results = y.data<float>(), *slopes = grad_b.data<float>();
      for (int64_t i = 0; i < y.numel(); ++i) {
        int64_t rest = i, at_a = 0, at_b = 0;
        for (int64_t d = c.shape.rank() - 1; d >= 0; --d) {
          at_a += rest % c.shape[d] * c.a[d];
          at_b += rest % c.shape[d] * c.b[d];
          rest /= c.shape[d];
        }
        ASSERT_EQ(results[i], elements[at_a] - elements[at_b]) << i;
        ASSERT_EQ(slopes[i], elements[at_a]) << i;
      }
    }
  });
}

TEST(Elementwise, NamesATypeWithoutKernel) {
  const Tensor x = zeros({2}, {.dtype = DType::boolean});
  EXPECT_ERROR(kernel::unary_forward<functor::Relu>[cpu_device]({}, x, x), DTypeError, "relu: no cpu kernel for bool");
}

}  // namespace
}  // namespace dnn
