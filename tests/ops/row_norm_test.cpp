// Layer, group, instance and local response normalisation.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/norm.h"
#include "dnn/random.h"
#include "tests/harness/errors.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

// ---- rows of neighbours ---------------------------------------------------------------------------------------------

// Normalises the elements of one group together and gives each element the parameters with number `parameter(i)`;
// `group` and `parameter` take row-major positions. Inputs: x, then weight and bias where they are there.
template <class Group, class Parameter>
Array reference(const std::vector<Array>& inputs, bool weight, bool bias, double eps, Group group,
                Parameter parameter) {
  const Array& x = inputs[0];
  Array y(x.shape);
  const int64_t n = x.shape.numel();
  std::map<int64_t, std::vector<double>> members;
  for (int64_t i = 0; i < n; ++i) members[group(i)].push_back(x[i]);
  for (int64_t i = 0; i < n; ++i) {
    const std::vector<double>& values = members[group(i)];
    const auto count = static_cast<double>(values.size());
    double sum = 0, squares = 0;
    for (const double value : values) sum += value;
    for (const double value : values) squares += (value - sum / count) * (value - sum / count);
    y[i] = (x[i] - sum / count) / std::sqrt(squares / count + eps);
    if (weight) y[i] *= inputs[1][parameter(i)];
    if (bias) y[i] += inputs[weight ? 2 : 1][parameter(i)];
  }
  return y;
}

struct Parameters {
  bool weight = true, bias = true;
};

std::vector<Input> inputs_of(const Shape& x, const Shape& sizes, Parameters p) {
  std::vector<Input> inputs{Input(x, -2, 3)};
  if (p.weight) inputs.push_back(Input(sizes, 0.5, 2).wide());
  if (p.bias) inputs.push_back(Input(sizes).wide());
  return inputs;
}

Tensor weight_of(const Args& x, Parameters p) { return p.weight ? x[1] : Tensor(); }
Tensor bias_of(const Args& x, Parameters p) { return p.bias ? x[p.weight ? 2 : 1] : Tensor(); }

constexpr const char* no_variance = "a row that repeats one element has no variance to divide by";

Row layer_norm_row() {
  struct Case {
    std::string label;
    Shape input, normalized;
    Parameters parameters = {};
    NormOptions options = {};
  };
  Row row{.operation = "layer_norm"};
  for (const Case& c : {
           Case{"rows", {3, 5}, {5}},
           Case{"tokens", {2, 3, 37}, {37}},
           Case{"images", {2, 3, 4, 5}, {3, 4, 5}},
           Case{"no parameters", {4, 6}, {6}, {false, false}},
           Case{"no bias", {4, 6}, {6}, {true, false}, {.eps = 1e-3}},
           Case{"bias only", {4, 6}, {6}, {false, true}},
           Case{"one row", {67}, {67}},
           Case{"long rows", {2, 600}, {600}},
           Case{"many rows", {300, 3}, {3}, {}, {.eps = 1}},
           Case{"sixteen channels", {2, 16, 3, 3}, {3}},
           Case{"one element", {1}, {1}, {false, false}},
           Case{"no rows", {0, 4}, {4}},
       })
    row.sample({.label = c.label,
                .inputs = inputs_of(c.input, c.normalized, c.parameters),
                .function =
                    [=](const Args& x) {
                      return layer_norm(x[0], c.normalized, weight_of(x, c.parameters), bias_of(x, c.parameters),
                                        c.options);
                    },
                .reference =
                    [=](const std::vector<Array>& x) {
                      const int64_t n = c.normalized.numel();
                      return reference(
                          x, c.parameters.weight, c.parameters.bias, c.options.eps, [n](int64_t i) { return i / n; },
                          [n](int64_t i) { return i % n; });
                    }});
  return row.within(8, 48).without("expanded", no_variance);
}

struct GroupCase {
  std::string label;
  Shape input;
  int64_t groups = 1;
  Parameters parameters = {};
};

Row channels_row(const std::string& name, const std::vector<GroupCase>& cases,
                 const std::function<Tensor(const GroupCase&, const Tensor&, const Tensor&, const Tensor&)>& f) {
  Row row{.operation = name};
  for (const GroupCase& c : cases)
    row.sample(
        {.label = c.label,
         .inputs = inputs_of(c.input, {c.input[1]}, c.parameters),
         .function = [=](const Args& x) { return f(c, x[0], weight_of(x, c.parameters), bias_of(x, c.parameters)); },
         .reference =
             [=](const std::vector<Array>& x) {
               const int64_t channels = c.input[1];
               int64_t pixels = 1;
               for (int64_t d = 2; d < c.input.rank(); ++d) pixels *= c.input[d];
               const int64_t n = channels / c.groups * pixels;
               return reference(
                   x, c.parameters.weight, c.parameters.bias, 1e-5, [n](int64_t i) { return i / n; },
                   [=](int64_t i) { return i / pixels % channels; });
             }});
  return row.within(8, 48).without("expanded", no_variance);
}

Row group_norm_row() {
  return channels_row("group_norm",
                      {{"two groups", {3, 4, 2, 3}, 2},
                       {"one group", {2, 6, 3, 3}, 1},
                       {"a group per channel", {2, 3, 4, 5}, 3},
                       {"no parameters", {2, 4, 3, 3}, 2, {false, false}},
                       {"no bias", {2, 4, 3, 3}, 2, {true, false}},
                       {"bias only", {2, 4, 3, 3}, 2, {false, true}},
                       {"sixteen channels", {2, 16, 5, 3}, 4},
                       {"features", {3, 8}, 2},
                       {"sequences", {2, 4, 7}, 2},
                       {"long rows", {2, 4, 17, 19}, 2},
                       {"one element", {1, 1, 1, 1}, 1, {false, false}},
                       {"no images", {0, 4, 2, 2}, 2}},
                      [](const GroupCase& c, const Tensor& x, const Tensor& w, const Tensor& b) {
                        return group_norm(x, c.groups, w, b);
                      });
}

Row instance_norm_row() {
  return channels_row(
             "instance_norm",
             {{"images", {2, 3, 4, 5}, 3},
              {"no parameters", {2, 3, 4, 5}, 3, {false, false}},
              {"sixteen channels", {2, 16, 3, 3}, 16},
              {"sequences", {2, 3, 9}, 3},
              {"no images", {0, 3, 2, 2}, 3}},
             [](const GroupCase&, const Tensor& x, const Tensor& w, const Tensor& b) { return instance_norm(x, w, b); })
      .never_single("there is no variance in one element");
}

// ---- neighbouring channels ------------------------------------------------------------------------------------------

Row local_response_norm_row() {
  struct Case {
    std::string label;
    Shape input;
    LocalResponseNormOptions options;
  };
  Row row{.operation = "local_response_norm"};
  for (const Case& c : {
           Case{"AlexNet's", {2, 7, 3, 4}, {.size = 5, .k = 2}},
           Case{"large weight", {2, 7, 3, 4}, {.size = 5, .alpha = 0.8, .k = 2}},
           Case{"even size", {2, 6, 3, 3}, {.size = 4, .alpha = 0.5}},
           Case{"another power", {2, 6, 3, 3}, {.size = 3, .alpha = 0.5, .beta = 0.4, .k = 1.5}},
           Case{"one channel per window", {2, 3, 2, 2}, {.size = 1, .alpha = 1}},
           Case{"a window beyond all channels", {2, 3, 2, 2}, {.size = 9, .alpha = 1}},
           Case{"sequences", {2, 5, 7}, {.size = 3, .alpha = 1}},
           Case{"more pixels than a tile", {1, 3, 12, 13}, {.size = 2, .alpha = 1}},
           Case{"sixteen channels", {2, 16, 3, 5}, {.size = 5, .alpha = 1}},
           Case{"one element", {1, 1, 1, 1}, {.size = 5, .alpha = 1}},
           Case{"no images", {0, 3, 2, 2}, {.size = 5}},
       })
    row.sample({.label = c.label,
                .inputs = {Input(c.input)},
                .function = [=](const Args& x) { return local_response_norm(x[0], c.options); },
                .reference =
                    [=](const std::vector<Array>& inputs) {
                      const Array& x = inputs[0];
                      Array y(c.input);
                      const auto& o = c.options;
                      for_each_index(c.input, [&](const Shape& at) {
                        double sum = 0;
                        for (int64_t channel = at[1] - o.size / 2; channel < at[1] - o.size / 2 + o.size; ++channel) {
                          if (channel < 0 || channel >= c.input[1]) continue;
                          Shape other = at;
                          other[1] = channel;
                          sum += x.at(other) * x.at(other);
                        }
                        y.at(at) = x.at(at) / std::pow(o.k + o.alpha * sum / static_cast<double>(o.size), o.beta);
                      });
                      return y;
                    }});
  return row.within(8, 16);
}

const Rows rows{layer_norm_row(), group_norm_row(), instance_norm_row(), local_response_norm_row()};

// ---- large tensors --------------------------------------------------------------------------------------------------

// The output and the gradients of x, weight and bias, in float64.
using Compute = std::function<Tensor(const Tensor& x, const Tensor& weight, const Tensor& bias)>;
std::vector<Array> results(const Shape& shape, const Shape& sizes, DType type, const Compute& f) {
  manual_seed(1);
  std::vector<Tensor> leaves;
  for (const Shape& s : {shape, sizes, sizes})
    leaves.push_back((rand(s, {.dtype = DType::float64}) + 0.5).to(type).to(table_devices().front()));
  const Tensor upstream = randn(shape, {.dtype = DType::float64}).to(type).to(leaves[0].device());
  for (Tensor& leaf : leaves) leaf.set_requires_grad(true);
  const Tensor y = f(leaves[0], leaves[1], leaves[2]);
  y.backward(upstream);
  const auto array = [](const Tensor& t) {
    return Array(t.shape(), t.detach().to(DType::float64).to_vector<double>());
  };
  std::vector<Array> list{array(y)};
  for (const Tensor& leaf : leaves)
    if (leaf.has_grad()) list.push_back(array(leaf.grad()));
  return list;
}

// Sums in several chunks, by several threads: float32 against float64.
TEST(NormKernels, LargeTensors) {
  const auto compare = [](const Shape& shape, const Shape& sizes, const Compute& f) {
    const auto expected = results(shape, sizes, DType::float64, f), actual = results(shape, sizes, DType::float32, f);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      double scale = 0, worst = 0;
      for (int64_t j = 0; j < expected[i].size(); ++j) {
        scale = std::max(scale, std::abs(expected[i][j]));
        worst = std::max(worst, std::abs(actual[i][j] - expected[i][j]));
      }
      EXPECT_LT(worst, 1e-5 * scale) << "result " << i << " of " << shape.str();
    }
  };
  const int64_t rows = std::max<int64_t>(many(800), 2);
  compare({rows, 500}, {500},
          [](const Tensor& x, const Tensor& w, const Tensor& b) { return layer_norm(x, {500}, w, b); });
  compare({2, 9001}, {9001},
          [](const Tensor& x, const Tensor& w, const Tensor& b) { return layer_norm(x, {9001}, w, b); });
  compare({2, 4, 71, 67}, {4},
          [](const Tensor& x, const Tensor& w, const Tensor& b) { return group_norm(x, 2, w, b); });
  compare({rows, 4, 9, 11}, {4},
          [](const Tensor& x, const Tensor& w, const Tensor& b) { return instance_norm(x, w, b); });
  compare({2, 6, 71, 67}, {1}, [](const Tensor& x, const Tensor&, const Tensor&) {
    return local_response_norm(x, {.size = 5, .alpha = 1, .k = 2});
  });
}

// ---- errors ---------------------------------------------------------------------------------------------------------

const TensorOptions f64{.dtype = DType::float64}, i64{.dtype = DType::int64};

TEST(NormErrors, Rows) {
  const Tensor x = zeros({2, 3, 4});
  EXPECT_ERROR(layer_norm(Tensor(), {4}), ArgumentError, "layer_norm: input is undefined, expected a tensor");
  EXPECT_ERROR(
      layer_norm(x, {3}), ShapeError,
      "layer_norm: input [2, 3, 4] does not end with the normalized shape [3], expected one that is not empty");
  EXPECT_ERROR(layer_norm(x, {}), ShapeError,
               "layer_norm: input [2, 3, 4] does not end with the normalized shape [], expected one that is not empty");
  EXPECT_ERROR(layer_norm(zeros({2, 0}), {0}), ShapeError,
               "layer_norm: input [2, 0] does not end with the normalized shape [0], expected one that is not empty");
  EXPECT_ERROR(layer_norm(x, {1, 2, 3, 4}), ShapeError,
               "layer_norm: input [2, 3, 4] does not end with the normalized shape [1, 2, 3, 4], expected one that is "
               "not empty");
  EXPECT_ERROR(layer_norm(x, {4}, ones({3})), ShapeError,
               "layer_norm: weight has shape [3], expected [4] (input [2, 3, 4])");
  EXPECT_ERROR(layer_norm(x, {4}, {}, ones({4}, f64)), DTypeError,
               "layer_norm: bias is float64, expected float32 for an input of float32");
  EXPECT_ERROR(layer_norm(x, {4}, {}, {}, {.eps = 0}), ArgumentError,
               "layer_norm: eps is 0, expected a positive number");
  EXPECT_ERROR(layer_norm(zeros({2, 4}, i64), {4}), DTypeError,
               "layer_norm: input is int64, expected a floating type (input [2, 4])");
  EXPECT_ERROR(group_norm(x, 2), ArgumentError,
               "group_norm: groups is 2, expected a divisor of the 3 channels (input [2, 3, 4])");
  EXPECT_ERROR(group_norm(x, 0), ArgumentError,
               "group_norm: groups is 0, expected a divisor of the 3 channels (input [2, 3, 4])");
  EXPECT_ERROR(group_norm(zeros({3}), 1), ShapeError,
               "group_norm: input has no channels, expected [n, c, ...] (input [3])");
  EXPECT_ERROR(group_norm(x, 3, ones({4})), ShapeError,
               "group_norm: weight has shape [4], expected [3] (input [2, 3, 4])");
  EXPECT_ERROR(instance_norm(zeros({2, 0, 4})), ShapeError,
               "instance_norm: input has no channels, expected [n, c, ...] (input [2, 0, 4])");
  EXPECT_ERROR(instance_norm(zeros({2, 3, 1, 1})), ShapeError,
               "instance_norm: 1 elements per channel, expected at least 2 (input [2, 3, 1, 1])");
}

TEST(NormErrors, NeighbouringChannels) {
  const Tensor x = zeros({2, 3, 4});
  EXPECT_ERROR(local_response_norm(x, {}), ArgumentError,
               "local_response_norm: size is 0, expected at least 1 (input [2, 3, 4])");
  EXPECT_ERROR(local_response_norm(zeros({2, 3}), {.size = 5}), ShapeError,
               "local_response_norm: input has 2 dimensions, expected at least 3, [n, c, ...] (input [2, 3])");
  EXPECT_ERROR(local_response_norm(x, {.size = 5, .beta = NAN}), ArgumentError,
               "local_response_norm: beta is nan, expected a finite number");
  EXPECT_ERROR(local_response_norm(zeros({2, 3, 4}, i64), {.size = 5}), DTypeError,
               "local_response_norm: input is int64, expected a floating type (input [2, 3, 4])");
}

}  // namespace
}  // namespace dnn::test
