// Recurrent networks. The reference walks through the sequence unit by unit.
#include "dnn/ops/recurrent.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dnn/autograd.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/reduce.h"
#include "dnn/ops/shape.h"
#include "dnn/random.h"
#include "tests/harness/errors.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

enum class Kind { lstm, gru, tanh, relu };

struct Net {
  int64_t layers = 1;
  bool bidirectional = false, bias = true, state = false, batch_first = false;
  double dropout = 0;
};

struct Case : Net {
  std::string label;
  int64_t steps, batch, input, hidden;
  Case(std::string name, int64_t t, int64_t n, int64_t features, int64_t units, const Net& net = {})
      : Net(net), label(std::move(name)), steps(t), batch(n), input(features), hidden(units) {}

  int64_t directions() const { return bidirectional ? 2 : 1; }
  int64_t width() const { return directions() * hidden; }
};

int64_t gates_of(Kind kind) { return kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1; }

// The inputs of a case in order: x, then h and c where there are some, then each layer's weights.
std::vector<Input> inputs_of(Kind kind, const Case& c) {
  std::vector<Input> inputs;
  inputs.emplace_back(c.batch_first ? Shape{c.batch, c.steps, c.input} : Shape{c.steps, c.batch, c.input}, -1, 1);
  const Shape state{c.layers * c.directions(), c.batch, c.hidden};
  if (c.state) inputs.emplace_back(state, -1, 1);
  if (c.state && kind == Kind::lstm) inputs.emplace_back(state, -1, 1);
  for (int64_t layer = 0; layer < c.layers; ++layer)
    for (int64_t d = 0; d < c.directions(); ++d) {
      const int64_t rows = gates_of(kind) * c.hidden;
      inputs.emplace_back(Shape{rows, layer == 0 ? c.input : c.width()}, -0.8, 0.8);
      inputs.emplace_back(Shape{rows, c.hidden}, -0.8, 0.8);
      if (!c.bias) continue;
      inputs.emplace_back(Shape{rows}, -0.5, 0.5);
      inputs.emplace_back(Shape{rows}, -0.5, 0.5);
    }
  return inputs;
}

// Output, h_n and c_n behind each other, as one tensor.
Tensor call(Kind kind, const Case& c, const Args& x) {
  size_t next = 1;
  RecurrentState state;
  if (c.state) state.h = x[next++];
  if (c.state && kind == Kind::lstm) state.c = x[next++];
  std::vector<RecurrentWeights> weights(static_cast<size_t>(c.layers * c.directions()));
  for (RecurrentWeights& w : weights) {
    w.weight_ih = x[next++], w.weight_hh = x[next++];
    if (c.bias) w.bias_ih = x[next++], w.bias_hh = x[next++];
  }
  const RecurrentOptions options{.batch_first = c.batch_first, .bidirectional = c.bidirectional, .dropout = c.dropout};
  const RecurrentOutput y =
      kind == Kind::lstm ? lstm(x[0], weights, state, options)
      : kind == Kind::gru
          ? gru(x[0], weights, state, options)
          : rnn(x[0], weights, state, options, kind == Kind::relu ? RnnNonlinearity::relu : RnnNonlinearity::tanh);
  EXPECT_EQ(y.output.shape(),
            (c.batch_first ? Shape{c.batch, c.steps, c.width()} : Shape{c.steps, c.batch, c.width()}));
  EXPECT_EQ(y.h_n.shape(), (Shape{c.layers * c.directions(), c.batch, c.hidden}));
  EXPECT_EQ(y.c_n.defined(), kind == Kind::lstm);
  std::vector<Tensor> all{y.output.reshape({-1, c.hidden}), y.h_n.reshape({-1, c.hidden})};
  if (y.c_n.defined()) all.push_back(y.c_n.reshape({-1, c.hidden}));
  return cat(all);
}

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

// One unit: its new state from the sums of the inputs `a` and of the states `b` of each gate, its old state and its
// cell, which is changed.
double step(Kind kind, const std::vector<double>& a, const std::vector<double>& b, double h, double& c) {
  switch (kind) {
    case Kind::lstm:
      c = sigmoid_of(a[1] + b[1]) * c + sigmoid_of(a[0] + b[0]) * std::tanh(a[2] + b[2]);
      return sigmoid_of(a[3] + b[3]) * std::tanh(c);
    case Kind::gru: {
      const double z = sigmoid_of(a[1] + b[1]);
      return (1 - z) * std::tanh(a[2] + sigmoid_of(a[0] + b[0]) * b[2]) + z * h;
    }
    case Kind::tanh: return std::tanh(a[0] + b[0]);
    case Kind::relu: return std::max(0.0, a[0] + b[0]);
  }
  return NAN;
}

Array reference(Kind kind, const Case& c, const std::vector<Array>& arrays) {
  size_t next = 1;
  const Array* const h_0 = c.state ? &arrays[next++] : nullptr;
  const Array* const c_0 = c.state && kind == Kind::lstm ? &arrays[next++] : nullptr;
  Array x(Shape{c.steps, c.batch, c.input});
  for_each_index(
      x.shape, [&](const Shape& at) { x.at(at) = c.batch_first ? arrays[0](at[1], at[0], at[2]) : arrays[0].at(at); });
  Array h_n(Shape{c.layers * c.directions(), c.batch, c.hidden}), c_n = h_n;
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    for (int64_t i = 0; layer > 0 && c.dropout > 0 && i < x.size(); ++i) {
      const auto number = static_cast<uint64_t>(i);
      const uint32_t word = philox(call_seed, static_cast<uint64_t>(layer - 1), number / 4)[number % 4];
      x[i] = word >= static_cast<uint32_t>(c.dropout * 0x1p32) ? x[i] / (1 - c.dropout) : 0;
    }
    Array y(Shape{c.steps, c.batch, c.width()});
    for (int64_t d = 0; d < c.directions(); ++d) {
      const Array &w_ih = arrays[next++], &w_hh = arrays[next++];
      const Array* const b_ih = c.bias ? &arrays[next++] : nullptr;
      const Array* const b_hh = c.bias ? &arrays[next++] : nullptr;
      const int64_t entry = layer * c.directions() + d;
      for (int64_t n = 0; n < c.batch; ++n) {
        std::vector<double> h(static_cast<size_t>(c.hidden)), cells = h;
        for (size_t j = 0; j < h.size(); ++j) {
          if (h_0 != nullptr) h[j] = (*h_0)(entry, n, j);
          if (c_0 != nullptr) cells[j] = (*c_0)(entry, n, j);
        }
        for (int64_t i = 0; i < c.steps; ++i) {
          const int64_t t = d == 1 ? c.steps - 1 - i : i;
          const std::vector<double> before = h;
          for (int64_t j = 0; j < c.hidden; ++j) {
            std::vector<double> of_input, of_state;
            for (int64_t g = 0; g < gates_of(kind); ++g) {
              const int64_t row = g * c.hidden + j;
              double a = b_ih != nullptr ? (*b_ih)(row) : 0, b = b_hh != nullptr ? (*b_hh)(row) : 0;
              for (int64_t k = 0; k < x.shape[2]; ++k) a += w_ih(row, k) * x(t, n, k);
              for (int64_t k = 0; k < c.hidden; ++k) b += w_hh(row, k) * before[static_cast<size_t>(k)];
              of_input.push_back(a), of_state.push_back(b);
            }
            const auto unit = static_cast<size_t>(j);
            h[unit] = step(kind, of_input, of_state, before[unit], cells[unit]);
            y(t, n, d * c.hidden + j) = h[unit];
          }
        }
        for (size_t j = 0; j < h.size(); ++j) h_n(entry, n, j) = h[j], c_n(entry, n, j) = cells[j];
      }
    }
    x = y;
  }
  std::vector<double> all;
  Array output = x;
  if (c.batch_first) {
    output = Array(Shape{c.batch, c.steps, c.width()});
    for_each_index(output.shape, [&](const Shape& at) { output.at(at) = x(at[1], at[0], at[2]); });
  }
  for (const Array* part : {&output, &h_n, &c_n})
    if (part != &c_n || kind == Kind::lstm) all.insert(all.end(), part->values.begin(), part->values.end());
  return {Shape{static_cast<int64_t>(all.size()) / c.hidden, c.hidden}, all};
}

// The plain network knows two kinds.
Row row(const std::string& name, const std::vector<Kind>& kinds) {
  Row result{.operation = name};
  for (const Kind kind : kinds)
    for (const Case& c : {
             Case{"one layer", 4, 3, 5, 6},
             Case{"with a state", 3, 2, 4, 5, {.state = true}},
             Case{"without biases", 3, 2, 4, 5, {.bias = false, .state = true}},
             Case{"both directions", 3, 2, 3, 4, {.bidirectional = true, .state = true}},
             Case{"two layers, batch first", 3, 2, 3, 4, {.layers = 2, .state = true, .batch_first = true}},
             Case{"two layers, both directions, dropout",
                  3,
                  2,
                  3,
                  4,
                  {.layers = 2, .bidirectional = true, .dropout = 0.4}},
             Case{"one step", 1, 2, 3, 9, {.state = true}},
             Case{"sizes alike", 2, 3, 3, 3},
             Case{"one of each", 1, 1, 1, 1, {.bias = false}},
             Case{"no sequences", 2, 0, 3, 4, {.bidirectional = true}},
         })
      result.sample({.label = c.label + (kind == Kind::relu ? " relu" : ""),
                     .inputs = inputs_of(kind, c),
                     .function = [=](const Args& x) { return call(kind, c, x); },
                     .reference = [=](const std::vector<Array>& x) { return reference(kind, c, x); }});
  return result.within(8, 16);
}

const Rows rows{row("lstm", {Kind::lstm}), row("gru", {Kind::gru}), row("rnn", {Kind::tanh, Kind::relu})};

// ---- what the table does not see ------------------------------------------------------------------------------------

RecurrentWeights weights_of(int64_t gates, int64_t input, int64_t hidden) {
  return {randn({gates * hidden, input}), randn({gates * hidden, hidden}), randn({gates * hidden}),
          randn({gates * hidden})};
}

TEST(Recurrent, DropoutStandsBetweenLayersInTrainingAlone) {
  const Tensor x = randn({3, 2, 4});
  const std::vector<RecurrentWeights> two{weights_of(3, 4, 5), weights_of(3, 5, 5)};
  const auto output = [&](const std::vector<RecurrentWeights>& weights, const RecurrentOptions& options) {
    return gru(x, weights, {}, options).output.to_vector<float>();
  };
  EXPECT_EQ(output({two[0]}, {.dropout = 0.9}), output({two[0]}, {}));
  EXPECT_EQ(output(two, {.dropout = 0.9, .training = false}), output(two, {}));
  EXPECT_NE(output(two, {.dropout = 0.9}), output(two, {}));
}

TEST(Recurrent, FinalStatesContinueTheSequence) {
  const std::vector<RecurrentWeights> weights{weights_of(4, 3, 4), weights_of(4, 4, 4)};
  const Tensor x = randn({6, 2, 3});
  const RecurrentOutput whole = lstm(x, weights), first = lstm(x.slice(0, 0, 4), weights);
  const RecurrentOutput rest = lstm(x.slice(0, 4, 6), weights, {.h = first.h_n, .c = first.c_n});
  EXPECT_EQ(rest.output.to_vector<float>(), whole.output.slice(0, 4, 6).to_vector<float>());
  EXPECT_EQ(rest.h_n.to_vector<float>(), whole.h_n.to_vector<float>());
  EXPECT_EQ(rest.c_n.to_vector<float>(), whole.c_n.to_vector<float>());
}

TEST(Recurrent, TiedWeightsOfSixteenBitsGetBothGradients) {
  const Tensor x = randn({3, 2, 4}, {.dtype = DType::bfloat16});
  const auto gradient = [&](bool tied) {
    manual_seed(3);
    const TensorOptions like{.dtype = DType::bfloat16, .requires_grad = true};
    const Tensor a = randn({4, 4}, like), b = tied ? a : a.detach().clone().set_requires_grad();
    sum(rnn(x, {{a, b}}).output).backward();
    Tensor total = a.grad().to(DType::float32);
    if (!tied) total = total + b.grad().to(DType::float32);
    return total.to_vector<float>();
  };
  const std::vector<float> tied = gradient(true), apart = gradient(false);
  for (size_t i = 0; i < tied.size(); ++i) EXPECT_NEAR(tied[i], apart[i], 0.02 * (1 + std::abs(apart[i])));
}

TEST(RecurrentErrors, AllOfThem) {
  const Tensor x = zeros({3, 2, 4});
  const std::vector<RecurrentWeights> one{weights_of(4, 4, 5)};
  EXPECT_ERROR(lstm({}, one), ArgumentError, "lstm: input is undefined, expected a tensor");
  EXPECT_ERROR(lstm(zeros({3, 4}), one), ShapeError, "lstm: input has 2 dimensions, expected 3 (input [3, 4])");
  EXPECT_ERROR(lstm(zeros({3, 2, 4}, {.dtype = DType::int64}), one), DTypeError,
               "lstm: input is int64, expected a floating type (input [3, 2, 4])");
  EXPECT_ERROR(lstm(zeros({3, 2, 7}), one), ShapeError,
               "lstm: input has 7 features, weight_ih expects 4 (input [3, 2, 7], weight_ih [20, 4])");
  EXPECT_ERROR(lstm(zeros({0, 2, 4}), one), ShapeError,
               "lstm: the sequence is empty, expected at least one step (input [0, 2, 4])");
  EXPECT_ERROR(rnn(zeros({3, 2, 0}), {{zeros({5, 0}), zeros({5, 5})}}), ShapeError,
               "rnn: a size is 0, expected features and hidden units (input [3, 2, 0], weight_hh [5, 5])");
  EXPECT_ERROR(gru(x, one), ShapeError,
               "gru: weight_ih of entry 0 has shape [20, 4], expected [15, 4] (input size 4, hidden size 5)");
  EXPECT_ERROR(lstm(x, {one[0], one[0]}), ShapeError,
               "lstm: weight_ih of entry 1 has shape [20, 4], expected [20, 5] (input size 5, hidden size 5)");
  EXPECT_ERROR(lstm(x, {{one[0].weight_ih, one[0].weight_hh, zeros({4})}}), ShapeError,
               "lstm: bias_ih of entry 0 has shape [4], expected [20] (input size 4, hidden size 5)");
  EXPECT_ERROR(lstm(x, {}), ArgumentError, "lstm: there are 0 weights, expected 1 for each layer");
  EXPECT_ERROR(lstm(x, one, {}, {.bidirectional = true}), ArgumentError,
               "lstm: there are 1 weights, expected 2 for each layer");
  EXPECT_ERROR(lstm(x, {{one[0].weight_ih, {}}}), ArgumentError, "lstm: weight_hh is undefined, expected a tensor");
  EXPECT_ERROR(lstm(x, {{one[0].weight_ih, zeros({5})}}), ShapeError,
               "lstm: weight_hh has 1 dimensions, expected 2 (weight_hh [5])");
  EXPECT_ERROR(lstm(x, one, {.h = zeros({1, 3, 5})}), ShapeError,
               "lstm: h has shape [1, 3, 5], expected [layers * directions, n, hidden] = [1, 2, 5] (input [3, 2, 4])");
  EXPECT_ERROR(lstm(x, one, {.c = zeros({2, 2, 5})}), ShapeError,
               "lstm: c has shape [2, 2, 5], expected [layers * directions, n, hidden] = [1, 2, 5] (input [3, 2, 4])");
  EXPECT_ERROR(rnn(x, {weights_of(1, 4, 5)}, {.c = zeros({1, 2, 5})}), ArgumentError,
               "rnn: there is an initial c, expected h alone (c [1, 2, 5])");
  EXPECT_ERROR(lstm(x, one, {.h = zeros({1, 2, 5}, {.dtype = DType::float64})}), DTypeError,
               "lstm: h is float64, input is float32, expected one type (shapes [1, 2, 5], [3, 2, 4])");
  EXPECT_ERROR(lstm(x, one, {}, {.dropout = 1.5}), ArgumentError,
               "lstm: dropout is 1.5, expected a probability in [0, 1]");
}

}  // namespace
}  // namespace dnn::test
