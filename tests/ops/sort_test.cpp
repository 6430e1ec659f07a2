// Order along a dimension, and running sums.
#include "dnn/ops/sort.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "dnn/ops/factory.h"
#include "tests/harness/op_row.h"
#include "tests/harness/tensors.h"

namespace dnn::test {
namespace {

using ::testing::ElementsAre;

struct Case {
  Shape shape;
  int64_t dim;
  bool descending;
  int64_t k = -1;  // -1: all
  int64_t d() const { return dim < 0 ? dim + std::max(shape.rank(), 1) : dim; }
  std::string label() const {
    return shape.str() + " along " + std::to_string(dim) + (descending ? " down" : " up") +
           (k < 0 ? "" : " first " + std::to_string(k));
  }
};

// Replaces every row of x along the dimension by f(row), which has k elements.
Array along(const Array& x, int64_t d, int64_t k,
            const std::function<std::vector<double>(const std::vector<double>&)>& f) {
  if (x.shape.rank() == 0) return Array(x.shape, f(x.values));
  Shape starts = x.shape, result = x.shape;
  starts[d] = 1;
  result[d] = k;
  Array y(result);
  for_each_index(starts, [&](Shape index) {
    std::vector<double> row;
    for (int64_t j = 0; j < x.shape[d]; ++j) index[d] = j, row.push_back(x.at(index));
    const std::vector<double> out = f(row);
    for (int64_t j = 0; j < k; ++j) index[d] = j, y.at(index) = out[static_cast<size_t>(j)];
  });
  return y;
}

std::vector<double> order_of(const std::vector<double>& row, bool descending) {
  std::vector<double> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](double a, double b) {
    const double x = row[static_cast<size_t>(a)], y = row[static_cast<size_t>(b)];
    return descending ? x > y : x < y;
  });
  return order;
}

Row order_row(const std::string& name, const std::vector<Case>& cases,
              const std::function<Tensor(const Tensor&, const Case&)>& f, bool positions) {
  Row row{.operation = name};
  for (const Case& c : cases) {
    const int64_t n = c.shape.rank() == 0 ? 1 : c.shape[c.d()];
    row.sample(
        {.label = c.label(),
         .inputs = {n > 1000 ? Input(c.shape).constant() : Input(c.shape)},  // so close that steps change the order
         .function = [c, f](const Args& x) { return f(x[0], c); },
         .reference =
             [c, n, positions](const std::vector<Array>& x) {
               return along(x[0], c.d(), c.k < 0 ? n : c.k, [&](const std::vector<double>& values) {
                 std::vector<double> order = order_of(values, c.descending);
                 if (!positions)
                   for (double& i : order) i = values[static_cast<size_t>(i)];
                 return order;
               });
             }});
  }
  if (positions) row.no_gradient().result([](DType) { return DType::int64; });
  return row.with_integers({DType::int64, DType::int32, DType::uint8, DType::boolean});
}

const std::vector<Case> sort_cases{{{3, 5}, -1, false},  {{3, 5}, 0, true}, {{2, 16, 3, 2}, 1, false},
                                   {{2, 3, 4}, 1, true}, {{131}, 0, true},  {{2, 1500}, 1, false},
                                   {{1}, 0, false},      {{}, 0, false},    {{0, 3}, 1, false},
                                   {{3, 0}, 1, false}};
const std::vector<Case> topk_cases{{{3, 5}, -1, true, 2},   {{3, 5}, 0, false, 3}, {{2, 16, 3, 2}, 1, true, 5},
                                   {{2, 1500}, 1, true, 5}, {{7}, 0, true, 7},     {{1}, 0, true, 1},
                                   {{}, 0, true, 1},        {{4, 3}, 1, true, 0},  {{0, 3}, 1, true, 2}};

Tensor sorted(const Tensor& x, const Case& c) { return sort(x, {.dim = c.dim, .descending = c.descending}).values; }
Tensor sorted_positions(const Tensor& x, const Case& c) {
  return sort(x, {.dim = c.dim, .descending = c.descending}).indices;
}
Tensor order(const Tensor& x, const Case& c) { return argsort(x, {.dim = c.dim, .descending = c.descending}); }
Tensor top(const Tensor& x, const Case& c) { return topk(x, c.k, {.dim = c.dim, .largest = c.descending}).values; }
Tensor top_positions(const Tensor& x, const Case& c) {
  return topk(x, c.k, {.dim = c.dim, .largest = c.descending}).indices;
}

Row cumsum_row() {
  Row row{.operation = "cumsum"};
  for (const auto& [shape, dim] : {std::pair<Shape, int64_t>{{3, 5}, 0},
                                   {{3, 5}, -1},
                                   {{2, 16, 3, 2}, 1},
                                   {{2, 3, 70}, 1},
                                   {{2, 700}, 1},
                                   {{1}, 0},
                                   {{}, 0},
                                   {{0, 3}, 0}}) {
    const Case c{shape, dim, false};
    row.sample({.label = c.label(),
                .inputs = {Input(shape)},
                .function = [c](const Args& x) { return cumsum(x[0], c.dim); },
                .reference =
                    [c](const std::vector<Array>& x) {
                      const int64_t n = c.shape.rank() == 0 ? 1 : c.shape[c.d()];
                      return along(x[0], c.d(), n, [](const std::vector<double>& values) {
                        std::vector<double> sums(values.size());
                        std::partial_sum(values.begin(), values.end(), sums.begin());
                        return sums;
                      });
                    }});
  }
  return row.with_integers({DType::int64, DType::int32, DType::uint8, DType::boolean})
      .result([](DType type) { return is_floating(type) ? type : DType::int64; })
      .within(4, 8);
}

const Rows rows{order_row("sort", sort_cases, sorted, false),
                order_row("sort.indices", sort_cases, sorted_positions, true),
                order_row("argsort", sort_cases, order, true),
                order_row("topk", topk_cases, top, false),
                order_row("topk.indices", topk_cases, top_positions, true),
                cumsum_row()};

// ---- special values -------------------------------------------------------------------------------------------------

class Order : public ::testing::TestWithParam<DType> {
 protected:
  Tensor make(std::vector<double> values) const {
    const Shape shape{static_cast<int64_t>(values.size())};
    return to_tensor(Array(shape, std::move(values)), {.dtype = GetParam(), .device = table_devices().front()});
  }
};

TEST_P(Order, NaNIsTheLargestAndBothZerosAreEqual) {
  const Tensor x = make({NAN, 1, -INFINITY, 0.0, NAN, INFINITY, -0.0, -2});
  EXPECT_THAT(argsort(x).to_vector<int64_t>(), ElementsAre(2, 7, 3, 6, 1, 5, 0, 4));
  EXPECT_THAT(argsort(x, {.descending = true}).to_vector<int64_t>(), ElementsAre(0, 4, 5, 1, 3, 6, 7, 2));
  EXPECT_THAT(topk(x, 3).indices.to_vector<int64_t>(), ElementsAre(0, 4, 5));
  EXPECT_THAT(topk(x, 3, {.largest = false}).indices.to_vector<int64_t>(), ElementsAre(2, 7, 3));
}

INSTANTIATE_TEST_SUITE_P(Types, Order,
                         ::testing::Values(DType::float64, DType::float32, DType::float16, DType::bfloat16),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST(OrderOfIntegers, ReachesBothEnds) {
  const int64_t low = INT64_MIN, high = INT64_MAX;
  const Tensor x = from_values(std::vector<int64_t>{high, 0, low, -1, low}, {5}, table_devices().front());
  EXPECT_THAT(sort(x).values.to_vector<int64_t>(), ElementsAre(low, low, -1, 0, high));
  EXPECT_THAT(argsort(x, {.descending = true}).to_vector<int64_t>(), ElementsAre(0, 1, 3, 2, 4));
}

// Rows that do not fit into one block's memory, full of equal elements.
TEST(OrderOfLongRows, KeepsEqualElementsInOrder) {
  const int64_t n = many(500000);
  std::vector<int32_t> values;
  for (int64_t i = 0; i < 2 * n; ++i) values.push_back(static_cast<int32_t>(i * 7919 % 101));
  const Tensor x = from_values(values, {2, n}, table_devices().front());
  const auto order = argsort(x).to_vector<int64_t>();
  for (int64_t i = 0; i < 2 * n; ++i) {
    if (i % n == 0) continue;
    const auto value = [&](int64_t at) {
      return values[static_cast<size_t>(i / n * n + order[static_cast<size_t>(at)])];
    };
    ASSERT_TRUE(value(i - 1) < value(i) ||
                (value(i - 1) == value(i) && order[static_cast<size_t>(i - 1)] < order[static_cast<size_t>(i)]))
        << i;
  }
}

TEST(CumsumOfManyElements, StaysExact) {
  const int64_t n = many(300000);
  const Tensor y = cumsum(ones({n}, {.device = table_devices().front()}), 0);
  EXPECT_EQ(y[n - 1].item(), static_cast<double>(n));
  EXPECT_EQ(y[n / 2].item(), static_cast<double>(n / 2 + 1));
}

}  // namespace
}  // namespace dnn::test
