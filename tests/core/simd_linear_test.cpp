// The linear layer of small batches, in every variant, against plain sums at sizes around its tiles, blocks and chunks.
#include <gtest/gtest.h>

#include "core/cpu/linear.h"
#include "tests/core/variants.h"
#ifdef _OPENMP
#include <omp.h>
#endif

namespace dnn {
namespace {

using namespace test;

struct Sizes {
  int64_t rows, inputs, features;
};
constexpr Sizes sizes[] = {{1, 1, 1},     {2, 7, 3},     {3, 8, 2},     {4, 9, 4},    {5, 120, 10},
                           {16, 256, 24}, {17, 257, 25}, {35, 600, 67}, {64, 84, 10}, {6, 1030, 1},
                           {7, 0, 5},     {4, 15, 6},    {9, 816, 13}};

TEST(SmallLinear, AgreesWithAPlainSum) {
  for_each_variant([] {
    for (const auto [rows, inputs, features] : sizes) {
      SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(inputs) + " to " + std::to_string(features));
      const Tensor x = some_tensor({rows, inputs}, DType::float32);
      const Tensor w = some_tensor({features, inputs}, DType::float32, -2, 2, 2);
      const Tensor bias = some_tensor({features}, DType::float32, -2, 2, 3);
      const Tensor add = some_tensor({rows, features}, DType::float32, -2, 2, 4);
      const std::vector<double> xs = numbers(x), ws = numbers(w), biases = numbers(bias), adds = numbers(add);
      for (const bool extra : {false, true}) {
        for (const Activation activation : {Activation::none, Activation::relu}) {
          std::vector<double> expected;
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t f = 0; f < features; ++f) {
              double sum = extra ? biases[static_cast<size_t>(f)] + adds[static_cast<size_t>(r * features + f)] : 0;
              for (int64_t i = 0; i < inputs; ++i)
                sum += xs[static_cast<size_t>(r * inputs + i)] * ws[static_cast<size_t>(f * inputs + i)];
              expected.push_back(activation == Activation::relu ? std::max(sum, 0.0) : sum);
            }
          }
          const Tensor y = full({rows, features}, nan);
          cpu::linear_small::forward(x, w, extra ? bias : Tensor(), extra ? add : Tensor(), activation, y);
          expect_close(numbers(y), expected, 16 * std::sqrt(static_cast<double>(inputs + 1)) * epsilon(DType::float32));
        }
      }
    }
  });
}

TEST(SmallLinear, NaNPassesThroughReluAndStaysInItsRow) {
  for_each_variant([] {
    const Tensor x = full({18, 9}, 1), w = full({4, 9}, -1), y = full({18, 4}, 0);
    x.data<float>()[16 * 9 + 8] = static_cast<float>(nan);
    cpu::linear_small::forward(x, w, {}, {}, Activation::relu, y);
    std::vector<double> expected(18 * 4);
    for (size_t f = 0; f < 4; ++f) expected[16 * 4 + f] = nan;
    expect_close(numbers(y), expected, 0);
  });
}

#ifdef _OPENMP
TEST(SmallLinear, DoesNotDependOnTheNumberOfThreads) {
  const Tensor x = some_tensor({37, 300}, DType::float32), w = some_tensor({131, 300}, DType::float32, -2, 2, 2);
  const int threads = omp_get_max_threads();
  std::vector<std::vector<double>> results;
  for (const int count : {1, 2, 3, 8}) {
    omp_set_num_threads(count);
    const Tensor y = full({37, 131}, nan);
    cpu::linear_small::forward(x, w, {}, {}, Activation::none, y);
    results.push_back(numbers(y));
  }
  omp_set_num_threads(threads);
  for (const std::vector<double>& result : results) EXPECT_EQ(result, results.front());
}
#endif

}  // namespace
}  // namespace dnn
