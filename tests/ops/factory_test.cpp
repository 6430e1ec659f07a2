// Making tensors.
#include "dnn/ops/factory.h"

#include <gtest/gtest.h>

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

double uniform(int64_t i) {
  const auto words = philox(call_seed, 0, static_cast<uint64_t>(i / 4));
  return (words[static_cast<size_t>(i % 4)] >> 8) * 0x1p-24;
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
    from_values_row(),
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

}  // namespace
}  // namespace dnn::test
