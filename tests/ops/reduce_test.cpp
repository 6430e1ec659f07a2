// The reductions, over every pattern of dimensions.
#include "dnn/ops/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "dnn/ops/factory.h"
#include "tests/harness/compare.h"
#include "tests/harness/op_row.h"
#include "tests/harness/tensors.h"

namespace dnn::test {
namespace {

// Gathers what falls on each element of the result, in row-major order of x, and gives `f` the numbers.
Array reduce(const Array& x, const ReduceOptions& options, const std::function<double(const std::vector<double>&)>& f) {
  std::vector<bool> reduced(static_cast<size_t>(x.shape.rank()), options.dims.empty());
  for (int64_t d : options.dims) reduced[static_cast<size_t>(d < 0 ? d + x.shape.rank() : d)] = true;
  const auto kept_index = [&](const Shape& index, bool keepdim, bool sizes) {
    Shape kept;
    for (int64_t d = 0; d < index.rank(); ++d) {
      const bool gone = reduced[static_cast<size_t>(d)];
      if (!gone)
        kept.push_back(index[d]);
      else if (keepdim)
        kept.push_back(sizes ? 1 : 0);
    }
    return kept;
  };
  const Shape shape = kept_index(x.shape, options.keepdim, true);
  Array order(shape);
  for (int64_t i = 0; i < order.size(); ++i) order[i] = static_cast<double>(i);
  std::vector<std::vector<double>> groups(static_cast<size_t>(order.size()));
  for_each_index(x.shape, [&](const Shape& index) {
    groups[static_cast<size_t>(order.at(kept_index(index, options.keepdim, false)))].push_back(x.at(index));
  });
  Array y(shape);
  for (int64_t i = 0; i < y.size(); ++i) y[i] = f(groups[static_cast<size_t>(i)]);
  return y;
}

double sum_of(const std::vector<double>& values) {
  double total = 0;
  for (double x : values) total += x;
  return total;
}

double mean_of(const std::vector<double>& values) { return sum_of(values) / static_cast<double>(values.size()); }

double largest(const std::vector<double>& values) {
  double best = -INFINITY;
  for (double x : values) best = x > best ? x : best;
  return best;
}

double smallest(const std::vector<double>& values) {
  double best = INFINITY;
  for (double x : values) best = x < best ? x : best;
  return best;
}

double first_largest(const std::vector<double>& values) {
  size_t best = 0;
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] > values[best]) best = i;
  return static_cast<double>(best);
}

double first_smallest(const std::vector<double>& values) {
  size_t best = 0;
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] < values[best]) best = i;
  return static_cast<double>(best);
}

double product_of(const std::vector<double>& values) {
  double product = 1;
  for (double x : values) product *= x;
  return product;
}

double any_of(const std::vector<double>& values) {
  for (double x : values)
    if (x != 0) return 1;
  return 0;
}

double all_of(const std::vector<double>& values) {
  for (double x : values)
    if (x == 0) return 0;
  return 1;
}

double variance_of(const std::vector<double>& values, int64_t correction) {
  const double centre = mean_of(values);
  double total = 0;
  for (double x : values) total += (x - centre) * (x - centre);
  return total / static_cast<double>(static_cast<int64_t>(values.size()) - correction);
}

double norm_of(const std::vector<double>& values, double p) {
  double total = 0;
  for (double x : values) {
    if (p == 0)
      total += x != 0;
    else if (p == INFINITY)
      total = std::max(total, std::abs(x));
    else
      total += std::pow(std::abs(x), p);
  }
  return p == 0 || p == INFINITY ? total : std::pow(total, 1 / p);
}

double log_sum_exp_of(const std::vector<double>& values) {
  double total = 0;
  for (double x : values) total += std::exp(x);
  return std::log(total);
}

using Reduce = std::function<Tensor(const Tensor&, const ReduceOptions&)>;
using Overload = Tensor (*)(const Tensor&, const ReduceOptions&);
using Numbers = std::function<double(const std::vector<double>&)>;

Sample sample(const Reduce& f, const Numbers& reference, const Shape& shape, const ReduceOptions& options,
              const std::optional<Input>& input = {}) {
  return {.label = shape.str() + " over " + options.dims.str() + (options.keepdim ? " kept" : "") +
                   (input && !input->listed.empty() ? " listed" : ""),
          .inputs = {input ? *input : Input(shape)},
          .function = [=](const Args& x) { return f(x[0], options); },
          .reference = [=](const std::vector<Array>& x) { return reduce(x[0], options, reference); }};
}

Row reduction(const std::string& name, const Reduce& f, const Numbers& reference, double low = -2, double high = 2) {
  Row row{.operation = name};
  const auto sample = [low, high](const Reduce& of, const Numbers& truth, const Shape& shape,
                                  const ReduceOptions& options) {
    return test::sample(of, truth, shape, options, Input(shape, low, high));
  };
  for (const bool keepdim : {false, true})
    for (const Shape& dims :
         {Shape{}, Shape{0}, Shape{1}, Shape{-1}, Shape{0, 1}, Shape{1, 2}, Shape{0, 2}, Shape{2, 0}, Shape{0, 1, 2}})
      row.sample(sample(f, reference, {3, 4, 5}, {.dims = dims, .keepdim = keepdim}));
  // Images: per channel and per pixel, also in other layouts.
  for (const Shape& dims : {Shape{}, Shape{0, 2, 3}, Shape{2, 3}, Shape{1}, Shape{1, 3}})
    row.sample(sample(f, reference, {2, 16, 3, 2}, {.dims = dims}));
  row.sample(sample(f, reference, {515}, {}));
  row.sample(sample(f, reference, {2, 70, 3}, {.dims = {1}}));
  row.sample(sample(f, reference, {}, {}));
  row.sample(sample(f, reference, {1}, {.dims = {0}}));
  row.sample(sample(f, reference, {1, 1}, {.dims = {}, .keepdim = true}));
  row.sample(sample(f, reference, {0, 3}, {.dims = {1}}));
  return row;
}

DType sum_type(DType type) { return is_floating(type) ? type : DType::int64; }

Row sum_row() {
  Row row = reduction("sum", sum, sum_of);
  row.sample(sample(sum, sum_of, {0, 3}, {.dims = {0}}));
  row.sample(sample(sum, sum_of, {0}, {}));
  return row.with_integers({DType::int64, DType::int32, DType::uint8, DType::boolean}).result(sum_type);
}

Row mean_row() {
  Row row = reduction("mean", mean, mean_of);
  row.sample(sample(mean, mean_of, {0, 3}, {.dims = {0}}));  // 0 / 0
  return row;
}

// A choice along one dimension.
Row choice(const std::string& name, const std::function<Tensor(const Tensor&, int64_t dim, bool keepdim)>& f,
           const Numbers& reference) {
  Row row{.operation = name};
  struct Case {
    Shape shape;
    int64_t dim;
    bool keepdim;
  };
  for (const Case& c :
       {Case{{3, 4, 5}, 0, false}, Case{{3, 4, 5}, 1, true}, Case{{3, 4, 5}, -1, false}, Case{{2, 16, 3, 2}, 1, false},
        Case{{300}, 0, false}, Case{{}, 0, false}, Case{{1}, 0, true}, Case{{0, 3}, 1, false}}) {
    const ReduceOptions options{.dims = c.shape.rank() == 0 ? Shape{} : Shape{c.dim}, .keepdim = c.keepdim};
    row.sample(
        {.label = c.shape.str() + " over " + std::to_string(c.dim),
         .inputs = {Input(c.shape)},
         .function = [c, f](const Args& x) { return f(x[0], c.dim, c.keepdim); },
         .reference = [options, reference](const std::vector<Array>& x) { return reduce(x[0], options, reference); }});
  }
  return row.with_integers();
}

Row positions(const std::string& name, const std::function<Tensor(const Tensor&, int64_t dim, bool keepdim)>& f,
              const Numbers& reference) {
  return choice(name, f, reference).no_gradient().result([](DType) { return DType::int64; });
}

// Numbers around 1, whose products neither vanish nor overflow.
Row prod_row() {
  Row row = reduction("prod", prod, product_of, 0.9, 1.1);
  row.sample(sample(prod, product_of, {0, 3}, {.dims = {0}}));
  row.sample(sample(prod, product_of, {2, 4}, {.dims = {1}}, Input::of({2, 4}, {1, 0, 3, 2, 0, -1, 0, 2})));
  row.sample(sample(prod, product_of, {2, 3, 2}, {.dims = {0, 2}},
                    Input::of({2, 3, 2}, {1, 2, 0, 3, 1, 0, 0.5, -1, 2, 2, 1, 0})));
  return row.within(4, 8);
}

Row prod_of_integers_row() {
  Row row{.operation = "prod.integers"};
  for (const Shape& dims : {Shape{0}, Shape{1}, Shape{-1}})
    row.sample(sample(prod, product_of, {3, 4, 2}, {.dims = dims}));
  row.sample(sample(prod, product_of, {1}, {}));
  row.sample(sample(prod, product_of, {0}, {}));
  return row.with_integers({DType::int64, DType::int32, DType::uint8, DType::boolean}).result(sum_type).within(4, 8);
}

Row truth_row(const std::string& name, const Reduce& f, const Numbers& reference) {
  Row row = reduction(name, f, reference);
  row.sample(sample(f, reference, {3, 4}, {.dims = {1}}, Input::of({3, 4}, {0, 0, 0, 0, 1, 0, 2, -1, 3, 4, 5, 6})));
  row.sample(sample(f, reference, {0, 3}, {.dims = {0}}));
  return row.with_integers({DType::int64, DType::int32, DType::uint8, DType::boolean}).no_gradient().result([](DType) {
    return DType::boolean;
  });
}

Row spread_row(const std::string& name, Tensor (*f)(const Tensor&, const VarOptions&), bool root) {
  Row row{.operation = name};
  const auto with = [&](const Shape& shape, const VarOptions& options) {
    Sample s = sample([](const Tensor& x, const ReduceOptions&) { return x; },
                      [=](const std::vector<double>& values) {
                        const double variance = variance_of(values, options.correction);
                        return root ? std::sqrt(variance) : variance;
                      },
                      shape, {.dims = options.dims, .keepdim = options.keepdim});
    s.label += " corrected by " + std::to_string(options.correction);
    s.function = [=](const Args& x) { return f(x[0], options); };
    row.sample(s);
  };
  for (const bool keepdim : {false, true})
    for (const Shape& dims : {Shape{}, Shape{0}, Shape{1}, Shape{-1}, Shape{0, 2}, Shape{1, 2}})
      with({3, 4, 5}, {.dims = dims, .keepdim = keepdim});
  with({2, 16, 3, 2}, {.dims = {0, 2, 3}});
  with({515}, {.correction = 0});
  with({2, 70, 3}, {.dims = {1}, .correction = 2});
  with({1}, {.correction = 0});
  with({0, 3}, {.dims = {1}});
  return row.within(4, 8).without("expanded", "the mean of equal numbers is rounded, so they vary a little");
}

Row norm_row() {
  Row row{.operation = "norm"};
  const auto with = [&](const Shape& shape, const VectorNormOptions& options) {
    Sample s = sample([](const Tensor& x, const ReduceOptions&) { return x; },
                      [p = options.p](const std::vector<double>& values) { return norm_of(values, p); }, shape,
                      {.dims = options.dims, .keepdim = options.keepdim});
    s.label += " of " + std::to_string(options.p);
    s.function = [=](const Args& x) { return norm(x[0], options); };
    row.sample(s);
  };
  for (const double p : {1.0, 2.0, 3.0, 1.5, double(INFINITY)}) {
    with({3, 4, 5}, {.p = p});
    with({3, 4, 5}, {.p = p, .dims = {1}, .keepdim = true});
    with({3, 4, 5}, {.p = p, .dims = {-1}});
    with({3, 4, 5}, {.p = p, .dims = {0, 2}});
  }
  with({2, 16, 3, 2}, {.dims = {1}});
  with({515}, {});
  with({4, 3}, {.p = 0, .dims = {0}});
  with({1}, {});
  with({}, {.p = 3});
  with({0, 3}, {.dims = {0}});
  with({0, 3}, {.dims = {1}});
  return row.within(4, 8);
}

Row logsumexp_row() {
  Row row = reduction("logsumexp", logsumexp, log_sum_exp_of);
  row.sample(sample(logsumexp, log_sum_exp_of, {0, 3}, {.dims = {0}}));
  return row.within(4, 8);
}

const Rows rows{
    sum_row(),
    mean_row(),
    reduction("max", static_cast<Overload>(max), largest).with_integers(),
    reduction("min", static_cast<Overload>(min), smallest).with_integers(),
    choice(
        "max.values", [](const Tensor& x, int64_t d, bool k) { return max(x, d, k).values; }, largest),
    choice(
        "min.values", [](const Tensor& x, int64_t d, bool k) { return min(x, d, k).values; }, smallest),
    positions(
        "max.indices", [](const Tensor& x, int64_t d, bool k) { return max(x, d, k).indices; }, first_largest),
    positions(
        "min.indices", [](const Tensor& x, int64_t d, bool k) { return min(x, d, k).indices; }, first_smallest),
    positions(
        "argmax", [](const Tensor& x, int64_t d, bool k) { return argmax(x, d, k); }, first_largest),
    positions(
        "argmin", [](const Tensor& x, int64_t d, bool k) { return argmin(x, d, k); }, first_smallest),
    prod_row(),
    prod_of_integers_row(),
    truth_row("any", any, any_of),
    truth_row("all", all, all_of),
    spread_row("var", var, false),
    spread_row("std", dnn::std, true),
    norm_row(),
    logsumexp_row(),
};

// ---- beyond the table -----------------------------------------------------------------------------------------------

Device device() { return table_devices().front(); }

class Reductions : public ::testing::TestWithParam<DType> {
 protected:
  Tensor make(std::vector<double> values) const {
    const Shape shape{static_cast<int64_t>(values.size())};
    return to_tensor(Array(shape, std::move(values)), {.dtype = GetParam(), .device = device()});
  }
  void expect(const Tensor& actual, std::vector<double> values) const {
    EXPECT_TRUE(close(to_array(actual), Array(actual.shape(), std::move(values)), 2 * epsilon(GetParam())));
  }
};

TEST_P(Reductions, LogSumExpNeverOverflows) {
  expect(logsumexp(make({1000, 1000})), {1000 + std::log(2)});
  expect(logsumexp(make({-1000, -1000})), {-1000 + std::log(2)});
  expect(logsumexp(make({-INFINITY, -INFINITY})), {-INFINITY});
  expect(logsumexp(make({-INFINITY, 3})), {3});
  expect(logsumexp(make({INFINITY, 3})), {INFINITY});
  expect(logsumexp(make({NAN, 3})), {NAN});
  const Tensor x = make({1000, -INFINITY}).set_requires_grad();
  logsumexp(x).backward();
  expect(x.grad(), {1, 0});
}

TEST_P(Reductions, NormsAtTheEdges) {
  expect(norm(make({NAN, 3}), {.p = INFINITY}), {NAN});
  expect(norm(make({3, NAN}), {.p = INFINITY}), {NAN});
  expect(norm(make({INFINITY, 3})), {INFINITY});
  for (const double p : {1.0, 2.0, 3.0, 0.5}) {
    const Tensor zero = make({0, 0}).set_requires_grad();
    norm(zero, {.p = p}).backward();
    expect(zero.grad(), {0, 0});
  }
  const Tensor x = make({2, -2, 1}).set_requires_grad();
  norm(x, {.p = INFINITY}).backward();
  expect(x.grad(), {0.5, -0.5, 0});
}

TEST_P(Reductions, VarianceOfLittle) {
  expect(var(make({3})), {NAN});
  const Tensor x = make({3, 3}).set_requires_grad();
  const Tensor deviation = dnn::std(x);
  expect(deviation, {0});
  deviation.backward();
  expect(x.grad(), {0, 0});
}

TEST_P(Reductions, NaNIsNotZero) {
  EXPECT_EQ(any(make({0, NAN})).item(), 1);
  EXPECT_EQ(all(make({1, NAN})).item(), 1);
  EXPECT_EQ(any(make({0, -0.0})).item(), 0);
  EXPECT_EQ(max(make({1, NAN, 5, NAN}), 0).indices.item(), 1);
  EXPECT_EQ(argmin(make({1, 0, 0})).item(), 1);
}

INSTANTIATE_TEST_SUITE_P(Types, Reductions,
                         ::testing::Values(DType::float64, DType::float32, DType::float16, DType::bfloat16),
                         [](const auto& info) { return std::string(name_of(info.param)); });

// A mean far from zero does not spoil the variance.
TEST(Variance, IsSoundFarFromZero) {
  const Tensor x = tensor({10000, 10001, 10002}, {3}, {.device = device()});
  EXPECT_EQ(var(x).item(), 1);
}

TEST(FoldsOfManyElements, AreExact) {
  const int64_t n = many(300000);
  const Tensor one = ones({n}, {.device = device()}), zero = zeros({n}, {.device = device()});
  EXPECT_NEAR(norm(one).item(), std::sqrt(static_cast<double>(n)), 1e-3);
  EXPECT_EQ(norm(one, {.p = 1}).item(), static_cast<double>(n));
  EXPECT_EQ(prod(one).item(), 1);
  EXPECT_EQ(all(one).item(), 1);
  EXPECT_EQ(any(zero).item(), 0);
  zero.select(0, n - 1).fill_(-2);
  EXPECT_EQ(any(zero).item(), 1);
  EXPECT_EQ(norm(zero, {.p = INFINITY}).item(), 2);
  EXPECT_EQ(prod(zero).item(), 0);
}

}  // namespace
}  // namespace dnn::test
