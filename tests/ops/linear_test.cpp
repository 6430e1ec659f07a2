// Matrix products.
#include "dnn/ops/linear.h"

#include <gtest/gtest.h>

#include "dnn/ops.h"
#include "tests/harness/activation.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

Array multiply(const Array& a, const Array& b) {
  Array y(Shape{a.shape[0], b.shape[1]});
  for (int64_t i = 0; i < y.shape[0]; ++i)
    for (int64_t j = 0; j < y.shape[1]; ++j)
      for (int64_t k = 0; k < a.shape[1]; ++k) y(i, j) += a(i, k) * b(k, j);
  return y;
}

// The last two dimensions exchanged.
Array turned(const Array& x) {
  Shape shape = x.shape;
  const int64_t last = shape.rank() - 1;
  std::swap(shape[last], shape[last - 1]);
  Array y(shape);
  for_each_index(x.shape, [&](Shape index) {
    const double value = x.at(index);
    std::swap(index[last], index[last - 1]);
    y.at(index) = value;
  });
  return y;
}

// Stacks of matrices broadcast against each other; a vector is a row on the left and a column on the right.
Array multiply_stacks(Array a, Array b) {
  const bool row = a.shape.rank() == 1, column = b.shape.rank() == 1;
  if (row) a.shape = a.shape.with(0, 1);
  if (column) b.shape = b.shape.with(1, 1);
  const int64_t batch_a = a.shape.rank() - 2, batch_b = b.shape.rank() - 2, batch = std::max(batch_a, batch_b);
  Shape shape;
  for (int64_t d = 0; d < batch; ++d) {
    const int64_t in_a = d - (batch - batch_a), in_b = d - (batch - batch_b);
    const int64_t x = in_a < 0 ? 1 : a.shape[in_a], y = in_b < 0 ? 1 : b.shape[in_b];
    shape.push_back(x == 1 ? y : x);
  }
  const int64_t m = a.shape[batch_a], k = a.shape[batch_a + 1], n = b.shape[batch_b + 1];
  shape.push_back(m), shape.push_back(n);
  Array result(shape);
  const auto at = [batch](const Array& from, int64_t own, const Shape& index, int64_t i, int64_t j) {
    Shape place;
    for (int64_t d = 0; d < own; ++d) place.push_back(from.shape[d] == 1 ? 0 : index[d + batch - own]);
    place.push_back(i), place.push_back(j);
    return from.at(place);
  };
  for_each_index(shape, [&](const Shape& index) {
    for (int64_t i = 0; i < k; ++i)
      result.at(index) += at(a, batch_a, index, index[batch], i) * at(b, batch_b, index, i, index[batch + 1]);
  });
  if (row) result.shape = result.shape.without(batch);
  if (column) result.shape = result.shape.without(result.shape.rank() - 1);
  return result;
}

const std::pair<Shape, Shape> stacked_shapes[] = {{{3, 4, 5}, {3, 5, 2}},
                                                  {{2, 1, 4, 5}, {3, 5, 2}},
                                                  {{2, 3, 4, 5}, {5, 2}},
                                                  {{4, 5}, {3, 5, 2}},
                                                  {{5}, {5}},
                                                  {{5}, {5, 2}},
                                                  {{4, 5}, {5}},
                                                  {{5}, {3, 5, 2}},
                                                  {{3, 4, 5}, {5}},
                                                  {{2, 3, 4, 5}, {1, 3, 5, 2}},
                                                  {{2, 3, 1, 5}, {2, 3, 5, 1}},
                                                  {{2, 3, 0}, {2, 0, 4}},
                                                  {{2, 0, 3}, {3, 4}},
                                                  {{0, 2, 3}, {3, 4}},
                                                  {{17, 9, 33}, {17, 33, 8}}};

Row matmul_row() {
  Row row{.operation = "matmul"};
  struct Case {
    int64_t m, k, n;
  };
  for (const auto& [m, k, n] : {Case{3, 4, 5}, Case{4, 4, 4}, Case{1, 7, 1}, Case{1, 1, 1}, Case{9, 1, 3},
                                Case{17, 33, 9}, Case{0, 3, 2}, Case{3, 0, 2}, Case{3, 2, 0}})
    row.sample({.label = Shape{m, k}.str() + " by " + Shape{k, n}.str(),
                .inputs = {Input({m, k}), Input({k, n})},
                .function = [](const Args& x) { return matmul(x[0], x[1]); },
                .reference = [](const std::vector<Array>& x) { return multiply(x[0], x[1]); }});
  // A transposed view is used as it lies.
  row.sample({.label = "transposed views",
              .inputs = {Input({4, 3}), Input({5, 4})},
              .function = [](const Args& x) { return matmul(x[0].t(), x[1].t()); },
              .reference =
                  [](const std::vector<Array>& x) {
                    Array y(Shape{3, 5});
                    for_each_index(y.shape, [&](const Shape& at) {
                      for (int64_t k = 0; k < 4; ++k) y.at(at) += x[0](k, at[0]) * x[1](at[1], k);
                    });
                    return y;
                  }});
  // Stacks of matrices, and vectors.
  for (const auto& [a, b] : stacked_shapes)
    row.sample({.label = a.str() + " by " + b.str(),
                .inputs = {Input(a), Input(b)},
                .function = [](const Args& x) { return matmul(x[0], x[1]); },
                .reference = [](const std::vector<Array>& x) { return multiply_stacks(x[0], x[1]); }});
  // Views whose matrices lie in every way: transposed, with gaps, repeated.
  row.sample({.label = "stacks of transposed views",
              .inputs = {Input({2, 4, 3}), Input({2, 5, 4})},
              .function = [](const Args& x) { return matmul(x[0].transpose(1, 2), x[1].transpose(1, 2)); },
              .reference = [](const std::vector<Array>& x) { return multiply_stacks(turned(x[0]), turned(x[1])); }});
  row.sample({.label = "a part of the columns, one matrix for all",
              .inputs = {Input({3, 4, 7}), Input({1, 3, 2})},
              .function =
                  [](const Args& x) {
                    return matmul(x[0].slice(2, 2, 5), x[1].expand({3, 3, 2}));
                  },
              .reference =
                  [](const std::vector<Array>& x) {
                    Array part(Shape{3, 4, 3});
                    for_each_index(part.shape, [&](const Shape& i) { part.at(i) = x[0](i[0], i[1], i[2] + 2); });
                    return multiply_stacks(part, x[1]);
                  }});
  return row.within(4, 8);
}

Row bmm_row() {
  Row row{.operation = "bmm"};
  for (const auto& [a, b] : {std::pair<Shape, Shape>{{3, 4, 5}, {3, 5, 2}},
                             {{1, 1, 1}, {1, 1, 1}},
                             {{16, 9, 17}, {16, 17, 8}},
                             {{0, 2, 3}, {0, 3, 4}},
                             {{2, 3, 0}, {2, 0, 4}}})
    row.sample({.label = a.str() + " by " + b.str(),
                .inputs = {Input(a), Input(b)},
                .function = [](const Args& x) { return bmm(x[0], x[1]); },
                .reference = [](const std::vector<Array>& x) { return multiply_stacks(x[0], x[1]); }});
  return row.within(4, 8);
}

Row dot_row() {
  Row row{.operation = "dot"};
  for (const int64_t n : {7, 1, 0, 131})
    row.sample({.label = std::to_string(n),
                .inputs = {Input({n}), Input({n})},
                .function = [](const Args& x) { return dot(x[0], x[1]); },
                .reference = [](const std::vector<Array>& x) { return multiply_stacks(x[0], x[1]); }});
  return row.within(16, 8);
}

Row outer_row() {
  Row row{.operation = "outer"};
  for (const auto& [m, n] : {std::pair<int64_t, int64_t>{3, 4}, {1, 1}, {0, 3}})
    row.sample({.label = Shape{m, n}.str(),
                .inputs = {Input({m}), Input({n})},
                .function = [](const Args& x) { return outer(x[0], x[1]); },
                .reference =
                    [](const std::vector<Array>& x) {
                      Array y(Shape{x[0].size(), x[1].size()});
                      for_each_index(y.shape, [&](const Shape& at) { y.at(at) = x[0][at[0]] * x[1][at[1]]; });
                      return y;
                    }});
  return row;
}

// What of the optional inputs a sample has.
struct LinearCase {
  Shape input;
  int64_t features;
  bool bias = true, add = false;
  Activation activation = Activation::none;
};

Array linear_reference(const LinearCase& c, const std::vector<Array>& x) {
  Shape shape = x[0].shape;
  const int64_t in = shape[shape.rank() - 1];
  shape[shape.rank() - 1] = c.features;
  Array y(shape);
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t row = i / c.features, feature = i % c.features;
    for (int64_t k = 0; k < in; ++k) y[i] += x[0][row * in + k] * x[1](feature, k);
    if (c.bias) y[i] += x[2][feature];
    if (c.add) y[i] += x[c.bias ? 3 : 2][i];
    y[i] = activated(y[i], c.activation);
  }
  return y;
}

Row linear_row() {
  Row row{.operation = "linear"};
  constexpr Activation none = Activation::none, relu = Activation::relu, gelu = Activation::gelu_tanh;
  for (const LinearCase& c : {
           LinearCase{{3, 4}, 5},
           LinearCase{{3, 4}, 5, false},
           LinearCase{{3, 4}, 5, true, false, relu},
           LinearCase{{3, 4}, 5, true, true, none},
           LinearCase{{3, 4}, 5, false, true, relu},
           LinearCase{{2, 3, 4}, 5, true, true, relu},
           LinearCase{{3, 4}, 5, true, false, gelu},
           LinearCase{{3, 4}, 8, true, true, gelu},
           LinearCase{{2, 3, 4}, 8, false, false, gelu},
           LinearCase{{4}, 3},
           LinearCase{{1, 1}, 1},
           LinearCase{{19, 35}, 17, true, false, relu},
           LinearCase{{19, 35}, 24, true, false, gelu},
           LinearCase{{0, 4}, 3},
           LinearCase{{2, 0, 4}, 3, true, true, relu},
           LinearCase{{0, 4}, 8, true, true, gelu},
           LinearCase{{3, 4}, 0, true, true, relu},
           LinearCase{{3, 0}, 2, true, false, relu},
           LinearCase{{3, 0}, 8, true, true, gelu},
       }) {
    Shape result = c.input;
    const int64_t in = result[result.rank() - 1];
    result[result.rank() - 1] = c.features;
    const double most = c.activation == gelu ? 0.5 : 2;  // where gelu is almost 0 there are few digits left of it
    const auto input = [most](const Shape& shape) { return Input(shape, -most, most); };
    std::vector<Input> inputs{input(c.input), input({c.features, in}).parameter()};
    if (c.bias) inputs.push_back(input({c.features}).parameter());
    if (c.add) inputs.push_back(input(result));
    row.sample({.label = c.input.str() + " to " + std::to_string(c.features) + (c.bias ? " bias" : "") +
                         (c.add ? " add" : "") +
                         (c.activation == relu   ? " relu"
                          : c.activation == gelu ? " gelu"
                                                 : ""),
                .inputs = inputs,
                .function =
                    [c](const Args& x) {
                      return linear(x[0], x[1], c.bias ? x[2] : Tensor(),
                                    {.activation = c.activation, .add = c.add ? x[c.bias ? 3 : 2] : Tensor()});
                    },
                .reference = [c](const std::vector<Array>& x) { return linear_reference(c, x); }});
  }
  return row.within(6, 8);
}

// Few rows and many columns take another way through the product.
TEST(Linear, OfASmallBatchAndManyFeaturesIsExact) {
  const Tensor x = randn({19, 530}), weight = randn({77, 530}), bias = randn({77});
  const auto wide = [](const Tensor& t) { return t.to(DType::float64); };
  const Tensor exact = linear(wide(x), wide(weight), wide(bias));
  EXPECT_LT(max(abs(wide(linear(x, weight, bias)) - exact)).item(), 1e-4);

  Tensor left = randn({19, 77}).set_requires_grad();
  const Tensor right = randn({77, 530}), grad = randn({19, 530});
  const Tensor expected = matmul(wide(grad), wide(right).t());
  for (const double times : {1.0, 2.0}) {  // the second gradient is added to the first
    matmul(left, right).backward(grad);
    EXPECT_LT(max(abs(wide(left.grad()) - expected * times)).item(), 2e-4);
  }
}

const Rows rows{matmul_row(), bmm_row(), dot_row(), outer_row(), linear_row()};

}  // namespace
}  // namespace dnn::test
