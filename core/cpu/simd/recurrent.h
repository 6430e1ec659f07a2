// Recurrent layers, forward: one product takes the inputs of all steps through their weights, one product for each step
// the state before it; what is left of a step is one loop over the units, in which the gates are fused. oneDNN's own
// primitives for LSTM and GRU take the same time and would want the weights in another order.
//
// The reserve holds for every direction the gates of all steps, [t, n, columns], and behind them the memory cells of an
// LSTM, [t, n, hidden]. Columns are i, f, g, o of an LSTM; r, z, n of a GRU and before n, in place of the third, the
// state's part of it, which the reset gate multiplies: r, z, W_hn h + b_hn, n. The first three columns are then what
// the product with the state adds to. A plain RNN has its one gate in the output itself.
#pragma once

#include "core/cpu/products.h"
#include "core/cpu/simd/common.h"
#include "core/functors.h"
#include "core/kernels/recurrent.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

using kernel::RecurrentCell;
using kernel::RecurrentProblem;

// Sizes of a layer, in elements.
struct RecurrentSizes {
  explicit RecurrentSizes(const RecurrentProblem& p)
      : cell(p.cell),
        steps(p.steps),
        batch(p.batch),
        rows(p.steps * p.batch),
        input(p.input),
        hidden(p.hidden),
        width(p.directions * p.hidden),
        columns(p.cell == RecurrentCell::lstm || p.cell == RecurrentCell::gru ? 4 * p.hidden : p.hidden),
        state_columns(p.gates * p.hidden),
        is_plain(columns == p.hidden),
        gates(is_plain ? 0 : rows * columns),
        cells(p.cell == RecurrentCell::lstm ? rows * p.hidden : 0) {}
  RecurrentCell cell;
  int64_t steps, batch, rows, input, hidden;
  int64_t width;          // of a row of the output
  int64_t columns;        // of a row of gates
  int64_t state_columns;  // of these, what the product with the state gives
  bool is_plain;
  int64_t gates, cells;  // of one direction in the reserve
  int64_t reserve() const { return gates + cells; }
};

// One direction of a layer: its pointers, and the order of its steps.
template <class T>
struct RecurrentDirection {
  RecurrentDirection(const RecurrentSizes& sizes, const kernel::RecurrentTensors& t, int64_t direction)
      : s(sizes),
        reversed(direction == 1),
        x(pointer<T>(t.x)),
        y(pointer<T>(t.y) + direction * s.hidden),
        h_0(t.h_0.defined() ? pointer<T>(t.h_0) + direction * s.batch * s.hidden : nullptr),
        c_0(t.c_0.defined() ? pointer<T>(t.c_0) + direction * s.batch * s.hidden : nullptr),
        weight_ih(pointer<T>(t.weights[direction].weight_ih)),
        weight_hh(pointer<T>(t.weights[direction].weight_hh)),
        gates(s.is_plain ? y : pointer<T>(t.reserve) + direction * s.reserve()),
        gate_stride(s.is_plain ? s.width : s.columns),
        cells(s.is_plain ? nullptr : gates + s.gates) {}

  // The time of the i-th step in this direction.
  int64_t time(int64_t i) const { return reversed ? s.steps - 1 - i : i; }
  T* gates_at(int64_t i) const { return gates + time(i) * s.batch * gate_stride; }
  T* cells_at(int64_t i) const { return cells + time(i) * s.batch * s.hidden; }
  T* y_at(int64_t i) const { return y + time(i) * s.batch * s.width; }
  // The states before a step; null for zeros.
  Rows<T> h_before(int64_t i) const { return i == 0 ? Rows<T>{h_0, s.hidden} : Rows<T>{y_at(i - 1), s.width}; }
  const T* c_before(int64_t i) const { return i == 0 ? c_0 : cells_at(i - 1); }

  const RecurrentSizes& s;
  bool reversed;
  const T* x;
  T* y;
  const T *h_0, *c_0, *weight_ih, *weight_hh;
  T* gates;
  int64_t gate_stride;
  T* cells;
};

// Calls body(row) for the rows of a batch in parallel; each costs some exponentials for every unit.
template <class Body>
[[gnu::always_inline]] inline void for_batch(const RecurrentSizes& s, const Body& body) {
  constexpr int64_t cost = 16;
  parallel(s.batch, s.batch * s.hidden * cost, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

template <class T>
[[gnu::always_inline]] inline T sigmoid(T x) {
  return functor::Sigmoid{}.forward(x);
}

// The sum of both biases by column of the gates; where the columns of a GRU part, the bias of one of them.
template <class T>
void add_biases(const RecurrentSizes& s, const RecurrentWeights& w, T* bias) {
  const T* const ih = w.bias_ih.defined() ? pointer<T>(w.bias_ih) : nullptr;
  const T* const hh = w.bias_hh.defined() ? pointer<T>(w.bias_hh) : nullptr;
  const int64_t apart = s.cell == RecurrentCell::gru ? s.hidden : 0;
  for (int64_t j = 0; j < s.state_columns && hh != nullptr; ++j) bias[j] += hh[j];
  for (int64_t j = 0; j < s.state_columns && ih != nullptr; ++j)
    bias[j < s.state_columns - apart ? j : j + apart] += ih[j];
}

template <class T>
void lstm_step(const RecurrentDirection<T>& d, const T* bias, int64_t i) {
  const RecurrentSizes& s = d.s;
  const int64_t hidden = s.hidden;
  for_batch(s, [&](int64_t row) {
    T* const gates = d.gates_at(i) + row * s.columns;
    T* const c = d.cells_at(i) + row * hidden;
    T* const h = d.y_at(i) + row * s.width;
    const T* const all_before = d.c_before(i);
    const T* const before = all_before == nullptr ? nullptr : all_before + row * hidden;
    const auto loop = [&](auto has_before) {
#pragma omp simd
      for (int64_t j = 0; j < hidden; ++j) {
        const T in = sigmoid(gates[j] + bias[j]), forget = sigmoid(gates[hidden + j] + bias[hidden + j]);
        const T cell = math::tanh(gates[2 * hidden + j] + bias[2 * hidden + j]);
        const T out = sigmoid(gates[3 * hidden + j] + bias[3 * hidden + j]);
        T next = in * cell;
        if constexpr (has_before.value) next += forget * before[j];
        gates[j] = in, gates[hidden + j] = forget, gates[2 * hidden + j] = cell, gates[3 * hidden + j] = out;
        c[j] = next;
        h[j] = out * math::tanh(next);
      }
    };
    if (before != nullptr) return loop(std::true_type{});
    loop(std::false_type{});
  });
}

template <class T>
void gru_step(const RecurrentDirection<T>& d, const T* bias, int64_t i) {
  const RecurrentSizes& s = d.s;
  const int64_t hidden = s.hidden;
  const Rows<T> states = d.h_before(i);
  for_batch(s, [&](int64_t row) {
    T* const gates = d.gates_at(i) + row * s.columns;
    T* const h = d.y_at(i) + row * s.width;
    const T* const before = states.data == nullptr ? nullptr : states.data + row * states.stride;
    const auto loop = [&](auto has_before) {
#pragma omp simd
      for (int64_t j = 0; j < hidden; ++j) {
        const T reset = sigmoid(gates[j] + bias[j]), update = sigmoid(gates[hidden + j] + bias[hidden + j]);
        const T state = gates[2 * hidden + j] + bias[2 * hidden + j];
        const T fresh = math::tanh(gates[3 * hidden + j] + bias[3 * hidden + j] + reset * state);
        gates[j] = reset, gates[hidden + j] = update, gates[2 * hidden + j] = state, gates[3 * hidden + j] = fresh;
        T next = (T(1) - update) * fresh;
        if constexpr (has_before.value) next += update * before[j];
        h[j] = next;
      }
    };
    if (before != nullptr) return loop(std::true_type{});
    loop(std::false_type{});
  });
}

template <class T>
void plain_step(const RecurrentDirection<T>& d, const T* bias, int64_t i) {
  const RecurrentSizes& s = d.s;
  for_batch(s, [&](int64_t row) {
    T* const h = d.y_at(i) + row * s.width;
    const auto loop = [&](auto activation) {
#pragma omp simd
      for (int64_t j = 0; j < s.hidden; ++j) h[j] = activation.forward(h[j] + bias[j]);
    };
    if (s.cell == RecurrentCell::relu) return loop(functor::Relu{});
    loop(functor::Tanh{});
  });
}

// The gates' share of the inputs of all steps; the columns of a GRU that the inputs have no share in become zero.
template <class T>
void multiply_inputs(const RecurrentDirection<T>& d) {
  const RecurrentSizes& s = d.s;
  const Rows<T> x{d.x, s.input};
  if (s.cell != RecurrentCell::gru)
    return product(s.rows, s.columns, s.input, x, {d.weight_ih, s.input, true}, d.gates, d.gate_stride, false);
  const int64_t both = 2 * s.hidden;
  product(s.rows, both, s.input, x, {d.weight_ih, s.input, true}, d.gates, s.columns, false);
  product(s.rows, s.hidden, s.input, x, {d.weight_ih + both * s.input, s.input, true}, d.gates + 3 * s.hidden,
          s.columns, false);
  product(s.rows, s.hidden, 0, x, x, d.gates + both, s.columns, false);
}

inline void recurrent_reserve(const RecurrentProblem& p, int64_t* bytes) {
  const int64_t size = p.dtype == DType::float64 ? 8 : 4;  // 16-bit types compute in float32
  *bytes = RecurrentSizes(p).reserve() * p.directions * size;
}

template <class T>
void recurrent_forward_of(const RecurrentProblem& p, const kernel::RecurrentTensors& t, const Tensor& c_n) {
  const RecurrentSizes s(p);
  for (int64_t direction = 0; direction < p.directions; ++direction) {
    const RecurrentDirection<T> d(s, t, direction);
    const Scratch<T> bias(s.columns);
    add_biases(s, t.weights[direction], bias.data());
    multiply_inputs(d);
    for (int64_t i = 0; i < s.steps; ++i) {
      const Rows<T> h = d.h_before(i);
      if (h.data != nullptr)
        product(s.batch, s.state_columns, s.hidden, h, {d.weight_hh, s.hidden, true}, d.gates_at(i), d.gate_stride,
                true);
      if (s.cell == RecurrentCell::lstm) {
        lstm_step(d, bias.data(), i);
      } else if (s.cell == RecurrentCell::gru) {
        gru_step(d, bias.data(), i);
      } else {
        plain_step(d, bias.data(), i);
      }
    }
    if (s.cell != RecurrentCell::lstm) continue;
    const T* const last = d.cells_at(s.steps - 1);
    T* const to = pointer<T>(c_n) + direction * s.batch * s.hidden;
    for (int64_t j = 0; j < s.batch * s.hidden; ++j) to[j] = last[j];
  }
}

inline void recurrent_forward(const RecurrentProblem& p, const kernel::RecurrentTensors& t, const Tensor& c_n) {
  if (t.y.numel() == 0) return;
  if (has_16bit(t.y)) return recurrent_forward_by_float(p, t, c_n);
  visit_wide("recurrent", p.dtype, [&]<class T>(Type<T>) { recurrent_forward_of<T>(p, t, c_n); });
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
