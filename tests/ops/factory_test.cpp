// Making tensors.
#include "dnn/ops/factory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tests/harness/compare.h"
#include "tests/harness/op_row.h"
#include "tests/harness/tensors.h"

namespace dnn::test {
namespace {

std::vector<DType> numbers() { return {DType::int64, DType::int32, DType::uint8}; }

// A factory over a shape, whose element i has the value that `reference` gives.
Row factory(const std::string& name, const std::function<Tensor(const Shape&, const TensorOptions&)>& f,
            const std::function<double(int64_t)>& reference) {
  Row row{.operation = name};
  for (const Shape& shape : {Shape{3, 5}, Shape{2, 16, 2, 3}, Shape{131}, Shape{1}, Shape{}, Shape{0}, Shape{2, 0}})
    row.sample({.label = shape.str(),
                .inputs = {},
                .function = [=](const Args& x) { return f(shape, x.options); },
                .reference =
                    [=](const std::vector<Array>&) {
                      Array y(shape);
                      for (int64_t i = 0; i < y.size(); ++i) y[i] = reference(i);
                      return y;
                    }});
  return row;
}

// A factory that takes shape, type and device from another tensor.
Row alike(const std::string& name, const std::function<Tensor(const Tensor&)>& f, double value) {
  return unary(name, f, [value](double) { return value; }).with_integers().no_gradient();
}

Row arange_row() {
  Row row{.operation = "arange"};
  struct Case {
    Scalar start, end, step;
    std::vector<double> values;
  };
  for (const Case& c : {Case{0, 5, 1, {0, 1, 2, 3, 4}}, Case{2, 9, 3, {2, 5, 8}}, Case{7, 1, -2, {7, 5, 3}},
                        Case{0.5, 2.0, 0.5, {0.5, 1, 1.5}}, Case{3, 3, 1, {}}, Case{1, 2, 1, {1}}})
    row.sample(
        {.label = std::to_string(c.start.to_double()) + " to " + std::to_string(c.end.to_double()),
         .inputs = {},
         .function = [=](const Args& x) { return arange(c.start, c.end, c.step, x.options); },
         .reference =
             [=](const std::vector<Array>&) { return Array({static_cast<int64_t>(c.values.size())}, c.values); }});
  return row;
}

Row from_values_row() {
  return factory(
             "from_values",
             [](const Shape& shape, const TensorOptions& options) {
               std::vector<double> values(static_cast<size_t>(shape.numel()));
               for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 50);
               return from_values(values, shape, options.device).to(options.dtype);
             },
             [](int64_t i) { return static_cast<double>(i % 50); })
      .with_integers(numbers());
}

Row tensor_row() {
  Row row{.operation = "tensor"};
  row.sample({.label = "a matrix",
              .inputs = {},
              .function =
                  [](const Args& x) {
                    return tensor({1, 2, 3, 4, 5, 6}, {2, 3}, x.options);
                  },
              .reference =
                  [](const std::vector<Array>&) {
                    return Array({2, 3}, {1, 2, 3, 4, 5, 6});
                  }});
  row.sample({.label = "a scalar",
              .inputs = {},
              .function = [](const Args& x) { return tensor({7}, {}, x.options); },
              .reference = [](const std::vector<Array>&) { return Array({}, {7}); }});
  row.sample({.label = "nothing",
              .inputs = {},
              .function =
                  [](const Args& x) {
                    return tensor({}, {0, 2}, x.options);
                  },
              .reference =
                  [](const std::vector<Array>&) {
                    return Array({0, 2}, std::vector<double>{});
                  }});
  return row.with_integers(numbers());
}

// A factory without inputs: label, call, values.
struct Made {
  std::string label;
  std::function<Tensor(const TensorOptions&)> f;
  Array values;
};

Row made(const std::string& name, const std::vector<Made>& cases) {
  Row row{.operation = name};
  for (const Made& c : cases)
    row.sample({.label = c.label,
                .inputs = {},
                .function = [f = c.f](const Args& x) { return f(x.options); },
                .reference = [values = c.values](const std::vector<Array>&) { return values; }});
  return row;
}

Row eye_row() {
  return made("eye",
              {{"square", [](const TensorOptions& o) { return eye(3, o); }, Array({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1})},
               {"wide", [](const TensorOptions& o) { return eye(2, 3, o); }, Array({2, 3}, {1, 0, 0, 0, 1, 0})},
               {"tall", [](const TensorOptions& o) { return eye(3, 1, o); }, Array({3, 1}, {1, 0, 0})},
               {"nothing", [](const TensorOptions& o) { return eye(0, 2, o); }, Array({0, 2})}})
      .with_integers({DType::int64, DType::int32, DType::uint8, DType::boolean});
}

Row linspace_row() {
  return made(
      "linspace",
      {{"five", [](const TensorOptions& o) { return linspace(0, 1, 5, o); }, Array({5}, {0, 0.25, 0.5, 0.75, 1})},
       {"down", [](const TensorOptions& o) { return linspace(3, -3, 4, o); }, Array({4}, {3, 1, -1, -3})},
       {"one", [](const TensorOptions& o) { return linspace(2, 5, 1, o); }, Array(Shape{1}, std::vector<double>{2})},
       {"none", [](const TensorOptions& o) { return linspace(2, 5, 0, o); }, Array(Shape{0})}});
}

Row one_hot_row() {
  Row row{.operation = "one_hot"};
  for (const Shape& shape : {Shape{5}, Shape{2, 3}, Shape{}, Shape{1}, Shape{0}})
    for (const bool inferred : {false, true}) {
      if (inferred && shape.numel() == 0) continue;
      std::vector<double> indices;
      for (int64_t i = 0; i < shape.numel(); ++i) indices.push_back(static_cast<double>(i * 3 % 5));
      const int64_t classes = !inferred ? 6 : shape.numel() == 1 ? 1 : shape.numel() == 5 ? 5 : 5;
      Input input = Input::of(shape, indices).typed(DType::int64);
      row.sample({.label = shape.str() + (inferred ? " inferred" : ""),
                  .inputs = {input},
                  .function = [=](const Args& x) { return one_hot(x[0], inferred ? -1 : classes, x.options.dtype); },
                  .reference =
                      [=](const std::vector<Array>& x) {
                        Shape wide = shape;
                        wide.push_back(classes);
                        Array y(wide);
                        for (int64_t i = 0; i < x[0].size(); ++i) y[i * classes + static_cast<int64_t>(x[0][i])] = 1;
                        return y;
                      }});
    }
  return row.with_integers({DType::int64, DType::int32, DType::uint8, DType::boolean});
}

double uniform(int64_t i) {
  const auto words = philox(call_seed, 0, static_cast<uint64_t>(i / 4));
  return (words[static_cast<size_t>(i % 4)] >> 8) * 0x1p-24;
}

// What randint(3, 103) draws: words 2 (i % 2) and the next of block i / 2 as one 64-bit number, times 100 / 2^64.
double whole_number(int64_t i) {
  const auto words = philox(call_seed, 0, static_cast<uint64_t>(i / 2));
  const size_t first = i % 2 == 0 ? 0 : 2;
  const long double word = std::ldexp(static_cast<long double>(words[first]), 32) + words[first + 1];
  return 3 + std::floor(static_cast<double>(word * 100.0L / 0x1p64L));
}

// The values in order, as a tensor like `t`.
Tensor sorted(const Tensor& t) {
  std::vector<double> values = to_array(t).values;
  std::sort(values.begin(), values.end());
  return to_tensor(Array(t.shape(), values), t.options());
}

Array counted(int64_t n) {
  Array y(Shape{n});
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<double>(i);
  return y;
}

Row from_data_row() {
  return factory(
             "from_data",
             [](const Shape& shape, const TensorOptions& options) {
               std::vector<double> values(static_cast<size_t>(shape.numel()));
               for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 50);
               return from_data(values.data(), shape, options.device).to(options.dtype);
             },
             [](int64_t i) { return static_cast<double>(i % 50); })
      .with_integers(numbers());
}

// What is drawn over the elements of a tensor.
template <auto draw>
Tensor in_place(const Shape& shape, const TensorOptions& options) {
  const Tensor t = empty(shape, options);
  draw(t);
  return t;
}

const Rows rows{
    factory(
        "empty", [](const Shape& shape, const TensorOptions& options) { return empty(shape, options).fill_(3); },
        [](int64_t) { return 3; })
        .with_integers(numbers()),
    factory(
        "zeros", [](const Shape& s, const TensorOptions& o) { return zeros(s, o); }, [](int64_t) { return 0; })
        .with_integers(numbers()),
    factory(
        "ones", [](const Shape& s, const TensorOptions& o) { return ones(s, o); }, [](int64_t) { return 1; })
        .with_integers({DType::int64, DType::int32, DType::uint8, DType::boolean}),
    factory(
        "full", [](const Shape& s, const TensorOptions& o) { return full(s, 2.5, o); }, [](int64_t) { return 2.5; }),
    alike(
        "empty_like", [](const Tensor& x) { return empty_like(x).fill_(4); }, 4),
    alike("zeros_like", zeros_like, 0),
    alike("ones_like", ones_like, 1),
    arange_row().with_integers({}),
    factory(
        "rand", [](const Shape& s, const TensorOptions& o) { return rand(s, o); }, uniform),
    factory(
        "randn", [](const Shape& s, const TensorOptions& o) { return randn(s, o); }, [](int64_t) { return 0; })
        .without("float64.forward", "computed in float: Randn.IsTheBoxMullerTransform compares it"),
    factory("rand_", in_place<rand_>, uniform),
    factory("randn_", in_place<randn_>, [](int64_t) { return 0; })
        .without("float64.forward", "computed in float: Randn.IsTheBoxMullerTransform compares it"),
    alike(
        "full_like", [](const Tensor& x) { return full_like(x, 6); }, 6),
    factory(
        "rand_like", [](const Shape& s, const TensorOptions& o) { return rand_like(empty(s, o)); }, uniform),
    factory(
        "randn_like", [](const Shape& s, const TensorOptions& o) { return randn_like(empty(s, o)); },
        [](int64_t) { return 0; })
        .without("float64.forward", "computed in float: Randn.IsTheBoxMullerTransform compares it"),
    factory(
        "randint", [](const Shape& s, const TensorOptions& o) { return randint(3, 103, s, o); }, whole_number)
        .with_integers(numbers()),
    factory(
        "bernoulli", [](const Shape& s, const TensorOptions& o) { return bernoulli(full(s, 0.25, o)); },
        [](int64_t i) { return uniform(i) < 0.25 ? 1 : 0; }),
    made("randperm", {{"one", [](const TensorOptions& o) { return randperm(1, o); }, Array(Shape{1})},
                      {"none", [](const TensorOptions& o) { return randperm(0, o); }, Array(Shape{0})},
                      {"sorted", [](const TensorOptions& o) { return sorted(randperm(100, o)); }, counted(100)}})
        .with_integers(numbers()),
    eye_row(),
    linspace_row(),
    one_hot_row(),
    from_values_row(),
    from_data_row(),
    tensor_row(),
};

Device test_device() { return table_devices().front(); }

TEST(Randn, IsTheBoxMullerTransform) {
  const int64_t n = 1001;
  manual_seed(call_seed);
  const Array values = to_array(randn({n}, {.device = test_device()}));
  Array expected(Shape{n});
  for (int64_t i = 0; i < n; ++i) {
    const auto words = philox(call_seed, 0, static_cast<uint64_t>(i / 2));
    const double radius = std::sqrt(-2 * std::log((words[0] + 0.5) * 0x1p-32));
    const double angle = 2 * std::numbers::pi * words[1] * 0x1p-32;
    expected[i] = radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
  }
  EXPECT_TRUE(close(values, expected, 4e-6));
}

TEST(Randint, CoversItsRangeEvenly) {
  manual_seed(call_seed);
  const Array values = to_array(randint(-2, 3, {many(100000)}, {.dtype = DType::int64, .device = test_device()}));
  std::vector<int64_t> counts(5);
  for (const double value : values.values) {
    ASSERT_GE(value, -2);
    ASSERT_LT(value, 3);
    ++counts[static_cast<size_t>(value + 2)];
  }
  const double expected = static_cast<double>(values.size()) / 5;
  for (const int64_t count : counts) EXPECT_NEAR(static_cast<double>(count), expected, 5 * std::sqrt(expected));
}

TEST(Randint, TakesTheWholeRangeOfInt64) {
  const int64_t least = INT64_MIN, most = INT64_MAX;
  const Tensor x = randint(least, most, {64}, {.dtype = DType::int64, .device = test_device()});
  bool negative = false, positive = false;
  for (const int64_t value : x.to_vector<int64_t>()) negative |= value<0, positive |= value> 0;
  EXPECT_TRUE(negative && positive);
}

TEST(Randperm, DependsOnTheSeedAlone) {
  manual_seed(3);
  const auto one = randperm(1000).to_vector<int64_t>();
  const auto next = randperm(1000).to_vector<int64_t>();
  manual_seed(3);
  const auto again = randperm(1000, {.dtype = DType::int64, .device = test_device()}).to_vector<int64_t>();
  EXPECT_EQ(one, again);
  EXPECT_NE(one, next);
  EXPECT_FALSE(std::is_sorted(one.begin(), one.end()));
}

}  // namespace
}  // namespace dnn::test
