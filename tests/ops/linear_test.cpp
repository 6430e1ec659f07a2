// Matrix products.
#include "dnn/ops/linear.h"

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
  return row.within(4, 8);
}

// What of the optional inputs a sample has.
struct LinearCase {
  Shape input;
  int64_t features;
  bool bias = true, add = false, relu = false;
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
    if (c.relu && y[i] < 0) y[i] = 0;
  }
  return y;
}

Row linear_row() {
  Row row{.operation = "linear"};
  for (const LinearCase& c : {
           LinearCase{{3, 4}, 5},
           LinearCase{{3, 4}, 5, false},
           LinearCase{{3, 4}, 5, true, false, true},
           LinearCase{{3, 4}, 5, true, true, false},
           LinearCase{{3, 4}, 5, false, true, true},
           LinearCase{{2, 3, 4}, 5, true, true, true},
           LinearCase{{4}, 3},
           LinearCase{{1, 1}, 1},
           LinearCase{{19, 35}, 17, true, false, true},
           LinearCase{{0, 4}, 3},
           LinearCase{{2, 0, 4}, 3, true, true, true},
           LinearCase{{3, 4}, 0, true, true, true},
           LinearCase{{3, 0}, 2, true, false, true},
       }) {
    Shape result = c.input;
    const int64_t in = result[result.rank() - 1];
    result[result.rank() - 1] = c.features;
    std::vector<Input> inputs{Input(c.input), Input({c.features, in}).parameter()};
    if (c.bias) inputs.push_back(Input({c.features}).parameter());
    if (c.add) inputs.push_back(Input(result));
    row.sample({.label = c.input.str() + " to " + std::to_string(c.features) + (c.bias ? " bias" : "") +
                         (c.add ? " add" : "") + (c.relu ? " relu" : ""),
                .inputs = inputs,
                .function =
                    [c](const Args& x) {
                      return linear(x[0], x[1], c.bias ? x[2] : Tensor(),
                                    {.activation = c.relu ? Activation::relu : Activation::none,
                                     .add = c.add ? x[c.bias ? 3 : 2] : Tensor()});
                    },
                .reference = [c](const std::vector<Array>& x) { return linear_reference(c, x); }});
  }
  return row.within(6, 8);
}

const Rows rows{matmul_row(), linear_row()};

}  // namespace
}  // namespace dnn::test
