// The vectorised CPU kernels, part two: reductions, softmax and cross-entropy at sizes around their tiles, with special
// values, ties and many threads.
#include <gtest/gtest.h>

#include <cmath>

#include "core/kernels/loss.h"
#include "core/kernels/reduce.h"
#include "tests/core/variants.h"
#include "tests/harness/errors.h"
#ifdef _OPENMP
#include <omp.h>
#endif

namespace dnn {
namespace {

using kernel::Extremum;
using kernel::ReduceShape;
using namespace test;

Tensor sum(const Tensor& x, const ReduceShape& shape, double scale = 1) {
  const Tensor y = empty({shape.outer, shape.inner}, {.dtype = is_floating(x.dtype()) ? x.dtype() : DType::int64});
  kernel::reduce_sum[cpu_device](x, shape, scale, y, false);
  return y;
}

// Sizes around the 128 sums side by side, the grouping of rows and the parts of long sums.
constexpr ReduceShape reduce_shapes[] = {{1, 1, 1},     {1, 127, 1},    {3, 128, 1},  {2, 129, 1},  {5, 1000, 1},
                                         {1, 70001, 1}, {2, 3, 2},      {1, 64, 10},  {4, 100, 13}, {2, 50, 64},
                                         {1, 60, 128},  {2, 9, 129},    {1, 5, 300},  {3, 0, 7},    {0, 4, 4},
                                         {2, 4, 0},     {1, 10001, 10}, {1, 700, 131}};

TEST(ReduceSum, AgreesWithAPlainLoop) {
  for_each_variant([] {
    for (const DType dtype : number_types) {
      for (const ReduceShape& s : reduce_shapes) {
        SCOPED_TRACE((name_of(dtype) + (" " + Shape{s.outer, s.n, s.inner}.str())));
        const Tensor x =
            some_tensor({s.outer, s.n, s.inner}, dtype, is_floating(dtype) ? -1 : 0, is_floating(dtype) ? 1 : 5);
        const std::vector<double> elements = numbers(x);
        std::vector<double> expected(static_cast<size_t>(s.outer * s.inner));
        for (size_t i = 0; i < elements.size(); ++i) {
          const int64_t flat = static_cast<int64_t>(i);
          expected[static_cast<size_t>(flat / (s.n * s.inner) * s.inner + flat % s.inner)] += 0.5 * elements[i];
        }
        if (!is_floating(dtype)) {
          for (double& value : expected) value = std::trunc(value);
        }
        expect_close(numbers(sum(x, s, 0.5)), expected, epsilon(dtype));
      }
    }
  });
}

TEST(ReduceSum, AccumulatesAndRoundsOnce) {
  for_each_variant([] {
    // 257.0039 is nearer to 258 than to 256; were the sum rounded to 1 first, 257 would be rounded to 256.
    const Tensor y = full({1}, 256, {.dtype = DType::bfloat16});
    kernel::reduce_sum[cpu_device](tensor({1, 0x1p-8}, {2}, {.dtype = DType::bfloat16}), {1, 2, 1}, 1, y, true);
    EXPECT_EQ(numbers(y)[0], 258);
    const Tensor z = full({1}, 5, {.dtype = DType::int64});
    kernel::reduce_sum[cpu_device](full({1000}, true, {.dtype = DType::boolean}), {1, 1000, 1}, 1, z, true);
    EXPECT_EQ(numbers(z)[0], 1005);
  });
}

TEST(ReduceSum, OfNothingIsZeroAndItsMeanNaN) {
  for_each_variant([] {
    EXPECT_EQ(numbers(sum(empty({2, 0, 1}), {2, 0, 1})), (std::vector<double>{0, 0}));
    EXPECT_TRUE(std::isnan(numbers(sum(empty({1, 0, 1}), {1, 0, 1}, infinity))[0]));
  });
}

TEST(ReduceSum, KeepsPrecisionInLongSums) {
  for_each_variant([] {
    const int64_t n = 3'000'000;
    EXPECT_NEAR(numbers(sum(full({n}, 0.1), {1, n, 1}))[0] / (n * static_cast<double>(0.1f)), 1, 1e-7);
  });
}

#ifdef _OPENMP
TEST(ReduceSum, DoesNotDependOnTheNumberOfThreads) {
  const Tensor x = some_tensor({600, 301}, DType::float32);
  const int threads = omp_get_max_threads();
  std::vector<std::vector<double>> results;
  for (const int count : {1, 2, 3, 8}) {
    omp_set_num_threads(count);
    std::vector<double> result;
    for (const ReduceShape& s : {ReduceShape{1, 600 * 301, 1}, ReduceShape{1, 600, 301}, ReduceShape{600, 301, 1}}) {
      for (const double value : numbers(sum(x, s))) result.push_back(value);
    }
    results.push_back(result);
  }
  omp_set_num_threads(threads);
  for (const std::vector<double>& result : results) EXPECT_EQ(result, results.front());
}
#endif

TEST(ReduceExtremum, AgreesWithAPlainLoop) {
  for_each_variant([] {
    for (const DType dtype : number_types) {
      for (const ReduceShape& s : reduce_shapes) {
        if (s.n == 0) continue;
        for (const Extremum which : {Extremum::max, Extremum::min}) {
          SCOPED_TRACE((name_of(dtype) + (" " + Shape{s.outer, s.n, s.inner}.str())));
          // Few different values, so that there are equals.
          const Tensor x = some_tensor({s.outer, s.n, s.inner}, DType::int32, 0, 60).to(dtype);
          const std::vector<double> elements = numbers(x);
          const Tensor values = empty({s.outer, s.inner}, {.dtype = dtype});
          const Tensor indices = empty({s.outer, s.inner}, {.dtype = DType::int64});
          kernel::reduce_extremum[cpu_device](x, s, which, values, indices);
          const std::vector<double> value = numbers(values), index = numbers(indices);
          for (int64_t i = 0; i < s.outer * s.inner; ++i) {
            const auto at = [&](int64_t k) {
              return elements[static_cast<size_t>((i / s.inner * s.n + k) * s.inner + i % s.inner)];
            };
            int64_t best = 0;
            for (int64_t k = 1; k < s.n; ++k) {
              if (which == Extremum::max ? at(k) > at(best) : at(k) < at(best)) best = k;
            }
            ASSERT_EQ(index[static_cast<size_t>(i)], best);
            ASSERT_EQ(value[static_cast<size_t>(i)], at(best));
          }
        }
      }
    }
  });
}

TEST(ReduceExtremum, TheFirstNaNWins) {
  for_each_variant([] {
    for (const DType dtype : floating_types) {
      for (const int64_t n : {3, 40, 200}) {
        for (const int64_t inner : {1, 5}) {
          for (const Extremum which : {Extremum::max, Extremum::min}) {
            for (const std::vector<int64_t>& places :
                 {std::vector<int64_t>{0}, {n - 1}, {n / 2, n - 1}, {1, 2}, {0, n / 2}}) {
              std::vector<double> elements(static_cast<size_t>(n * inner),
                                           which == Extremum::max ? infinity : -infinity);
              for (const int64_t k : places) {
                for (int64_t j = 0; j < inner; ++j) elements[static_cast<size_t>(k * inner + j)] = nan;
              }
              const Tensor values = empty({inner}, {.dtype = dtype});
              const Tensor indices = empty({inner}, {.dtype = DType::int64});
              kernel::reduce_extremum[cpu_device](of_type(elements, {n, inner}, dtype), {1, n, inner}, which, values,
                                                  indices);
              for (int64_t j = 0; j < inner; ++j) {
                EXPECT_TRUE(std::isnan(numbers(values)[static_cast<size_t>(j)]));
                EXPECT_EQ(indices.to_vector<int64_t>()[static_cast<size_t>(j)], places[0]) << n << " " << inner;
              }
            }
          }
        }
      }
    }
  });
}

TEST(ReduceExtremum, OfInfinitiesIsTheFirst) {
  for_each_variant([] {
    const Tensor values = empty({1}), indices = empty({1}, {.dtype = DType::int64});
    kernel::reduce_extremum[cpu_device](full({50}, -infinity), {1, 50, 1}, Extremum::max, values, indices);
    EXPECT_EQ(values.item(), -infinity);
    EXPECT_EQ(indices.item(), 0);
  });
}

Tensor softmax(const Tensor& x, const ReduceShape& shape, bool logarithm) {
  const Tensor y = full(x.shape(), nan, {.dtype = x.dtype()});
  kernel::softmax_forward[cpu_device](x, shape, logarithm, y);
  return y;
}

TEST(Softmax, SpecialRows) {
  for_each_variant([] {
    for (const DType dtype : floating_types) {
      for (const int64_t inner : {1, 3}) {
        SCOPED_TRACE(std::string(name_of(dtype)) + " " + std::to_string(inner));
        const auto row = [&](double a, double b, bool logarithm) {
          std::vector<double> elements(static_cast<size_t>(2 * inner), a);
          for (int64_t j = 0; j < inner; ++j) elements[static_cast<size_t>(inner + j)] = b;
          const std::vector<double> y =
              numbers(softmax(of_type(elements, {2, inner}, dtype), {1, 2, inner}, logarithm));
          return std::pair(y.front(), y.back());
        };
        const auto [a, b] = row(-infinity, -infinity, false);
        EXPECT_TRUE(std::isnan(a) && std::isnan(b));
        const auto [c, d] = row(-infinity, -infinity, true);
        EXPECT_TRUE(std::isnan(c) && std::isnan(d));
        const auto [e, f] = row(infinity, 0, false);
        EXPECT_TRUE(std::isnan(e));
        EXPECT_EQ(row(-infinity, 3, false), std::pair(0.0, 1.0));
        EXPECT_EQ(row(-infinity, 3, true), std::pair(-infinity, 0.0));
        EXPECT_EQ(row(60000, 60000, false), std::pair(0.5, 0.5));
        EXPECT_EQ(row(-60000, 60000, true).second, 0);
        const auto [g, h] = row(nan, 0, false);
        EXPECT_TRUE(std::isnan(g) && std::isnan(h));
      }
      EXPECT_EQ(numbers(softmax(some_tensor({4, 1}, dtype), {4, 1, 1}, false)), std::vector<double>(4, 1));
      EXPECT_EQ(numbers(softmax(some_tensor({4, 1}, dtype), {4, 1, 1}, true)), std::vector<double>(4, 0));
      EXPECT_EQ(softmax(empty({4, 0}, {.dtype = dtype}), {4, 0, 1}, false).numel(), 0);
    }
  });
}

TEST(Softmax, SumsToOneInLongRows) {
  for_each_variant([] {
    for (const ReduceShape& s : {ReduceShape{3, 50257, 1}, ReduceShape{1, 5000, 67}}) {
      const Tensor y = softmax(some_tensor({s.outer, s.n, s.inner}, DType::float32, -10, 10), s, false);
      expect_close(numbers(sum(y, s)), std::vector<double>(static_cast<size_t>(s.outer * s.inner), 1), 2e-6);
    }
  });
}

// Loss and gradient of one row.
std::pair<double, std::vector<double>> cross_entropy(const std::vector<double>& logits, int64_t label, DType dtype) {
  const Tensor x = of_type(logits, {1, static_cast<int64_t>(logits.size())}, dtype);
  const Tensor labels = full({1}, label, {.dtype = DType::int64});
  const Tensor loss = empty({1}, {.dtype = dtype}), grad = empty_like(x);
  const Tensor log_sum = empty({1, 2}, {.dtype = dtype == DType::float64 ? DType::float64 : DType::float32});
  kernel::cross_entropy_forward[cpu_device](x, labels, {}, loss, {}, log_sum);
  kernel::cross_entropy_backward[cpu_device](ones({1}, {.dtype = dtype}), 1, x, labels, {}, log_sum, grad, false);
  return {numbers(loss)[0], numbers(grad)};
}

TEST(CrossEntropy, LargeAndInfiniteLogits) {
  for_each_variant([] {
    for (const DType dtype : floating_types) {
      const auto [loss, grad] = cross_entropy({30000, 30000, -30000, -infinity}, 1, dtype);
      EXPECT_NEAR(loss, std::log(2), epsilon(dtype));
      expect_close(grad, {0.5, -0.5, 0, 0}, 1e-2);
      EXPECT_EQ(cross_entropy({5}, 0, dtype).first, 0);
      EXPECT_EQ(cross_entropy({0, -infinity}, 1, dtype).first, infinity);
    }
  });
}

TEST(CrossEntropy, OneGradientForAllRowsOrOneEach) {
  for_each_variant([] {
    const int64_t n = 30, classes = 47;
    const Tensor x = some_tensor({n, classes}, DType::float32, -4, 4);
    const Tensor labels = some_tensor({n}, DType::int64, 0, classes);
    const Tensor losses = empty({n}), log_sums = empty({n, 2});
    kernel::cross_entropy_forward[cpu_device](x, labels, {}, losses, {}, log_sums);
    const Tensor one = full({n, classes}, 1), each = full({n, classes}, 1);
    kernel::cross_entropy_backward[cpu_device](full({1}, 3), 0.25, x, labels, {}, log_sums, one, true);
    kernel::cross_entropy_backward[cpu_device](full({n}, 3), 0.25, x, labels, {}, log_sums, each, true);
    EXPECT_EQ(numbers(one), numbers(each));
    const std::vector<double> slopes = numbers(one), elements = numbers(x), sums = numbers(log_sums);
    for (int64_t i = 0; i < n * classes; ++i) {
      const size_t at = static_cast<size_t>(i), row = static_cast<size_t>(i / classes);
      const double is_label = labels.to_vector<int64_t>()[row] == i % classes ? 1 : 0;
      ASSERT_NEAR(slopes[at], 1 + 0.75 * (std::exp(elements[at] - sums[2 * row] - sums[2 * row + 1]) - is_label), 1e-6);
    }
  });
}

// One pass gives what two passes and a sum give.
TEST(CrossEntropy, ReducedIsTheSumOfTheRows) {
  for_each_variant([] {
    for (const DType dtype : {DType::float64, DType::float32}) {
      for (const double smoothing : {0.0, 0.1}) {
        const int64_t n = 150, classes = 47;
        const Tensor x = some_tensor({n, classes}, dtype, -4, 4), labels = some_tensor({n}, DType::int64, 0, classes);
        const kernel::CrossEntropyRule rule{.weights = some_tensor({classes}, dtype, 0.5, 2),
                                            .smoothing = smoothing,
                                            .ignored = labels.to_vector<int64_t>()[5]};
        const Tensor losses = empty({n}, {.dtype = dtype}), log_sums = empty({n, 2}, {.dtype = dtype});
        const Tensor gradient = empty_like(x);
        kernel::cross_entropy_forward[cpu_device](x, labels, rule, losses, {}, log_sums);
        kernel::cross_entropy_backward[cpu_device](ones({1}, {.dtype = dtype}), 0.5, x, labels, rule, log_sums,
                                                   gradient, false);
        const kernel::CrossEntropyTotals totals{.loss = empty({}, {.dtype = dtype}),
                                                .sums = empty({2}, {.dtype = DType::float64}),
                                                .gradient = empty_like(x),
                                                .log_sums = empty_like(log_sums)};
        kernel::cross_entropy_reduced[cpu_device](x, labels, rule, 0.5, totals);
        double sum = 0;
        for (const double loss : numbers(losses)) sum += loss;
        EXPECT_NEAR(numbers(totals.loss)[0], sum / 2, 1e-4);
        EXPECT_NEAR(numbers(totals.sums)[0], sum, 1e-4);
        EXPECT_EQ(numbers(totals.log_sums), numbers(log_sums));
        const std::vector<double> actual = numbers(totals.gradient), expected = numbers(gradient);
        for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], 1e-6) << i;
      }
    }
  });
}

TEST(CrossEntropy, NamesALabelOutOfRange) {
  for_each_variant([] {
    for (const DType dtype : floating_types) {
      for (const DType label_type : {DType::int64, DType::int32}) {
        const Tensor x = zeros({5, 10}, {.dtype = dtype}), losses = full({5}, 7, {.dtype = dtype});
        const Tensor log_sums = empty({5, 2}, {.dtype = dtype == DType::float64 ? DType::float64 : DType::float32});
        const auto run = [&](double label) {
          kernel::cross_entropy_forward[cpu_device](x, of_type({0, 9, 1, label, 2}, {5}, label_type), {}, losses, {},
                                                    log_sums);
        };
        EXPECT_ERROR(run(12), IndexError, "cross_entropy: label 12 at position 3, expected 0 <= label < 10");
        EXPECT_ERROR(run(10), IndexError, "cross_entropy: label 10 at position 3, expected 0 <= label < 10");
        EXPECT_ERROR(run(-1), IndexError, "cross_entropy: label -1 at position 3, expected 0 <= label < 10");
        EXPECT_EQ(numbers(losses), std::vector<double>(5, 7));
      }
    }
  });
  EXPECT_ERROR(kernel::cross_entropy_forward[cpu_device](zeros({1, 2}), zeros({1}), {}, zeros({1}), {}, zeros({2})),
               DTypeError, "cross_entropy: no cpu kernel for float32");
}

}  // namespace
}  // namespace dnn
