// Recurrent layers: one product takes the inputs of all steps through their weights, one product for each step the
// state before it; what is left of a step is one loop over the units, in which the gates are fused.
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

// ---- forward --------------------------------------------------------------------------------------------------------

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

// ---- backward -------------------------------------------------------------------------------------------------------

// What the way back needs beside a direction's tensors: gradients of the gates of all steps, [t, n, columns], and of
// the state and the cells after the step that is next, [n, hidden].
template <class T>
struct RecurrentUpstream {
  const T* y;  // [t, n, width], at this direction
  T *gates, *h, *c;
};

// Each step turns the gradient of its state (the output's and what later steps left in `h`) into that of its gates,
// and leaves in `h` what reaches the state before on another way than through the product, which comes after it.
template <class T>
void lstm_step_back(const RecurrentDirection<T>& d, const RecurrentUpstream<T>& up, int64_t i) {
  const RecurrentSizes& s = d.s;
  const int64_t hidden = s.hidden, time = d.time(i);
  for_batch(s, [&](int64_t row) {
    const T* const gates = d.gates_at(i) + row * s.columns;
    const T* const c = d.cells_at(i) + row * hidden;
    const T* const grad_y = up.y + (time * s.batch + row) * s.width;
    T* const to = up.gates + (time * s.batch + row) * s.columns;
    T* const grad_h = up.h + row * hidden;
    T* const grad_c = up.c + row * hidden;
    const T* const all_before = d.c_before(i);
    const T* const before = all_before == nullptr ? nullptr : all_before + row * hidden;
    const auto loop = [&](auto has_before) {
#pragma omp simd
      for (int64_t j = 0; j < hidden; ++j) {
        const T in = gates[j], forget = gates[hidden + j], cell = gates[2 * hidden + j], out = gates[3 * hidden + j];
        const T squashed = math::tanh(c[j]), gh = grad_y[j] + grad_h[j];
        const T gc = grad_c[j] + gh * out * (T(1) - squashed * squashed);
        T gf = 0;
        if constexpr (has_before.value) gf = gc * before[j];
        to[j] = gc * cell * in * (T(1) - in);
        to[hidden + j] = gf * forget * (T(1) - forget);
        to[2 * hidden + j] = gc * in * (T(1) - cell * cell);
        to[3 * hidden + j] = gh * squashed * out * (T(1) - out);
        grad_c[j] = gc * forget;
      }
    };
    if (before != nullptr) return loop(std::true_type{});
    loop(std::false_type{});
  });
}

template <class T>
void gru_step_back(const RecurrentDirection<T>& d, const RecurrentUpstream<T>& up, int64_t i) {
  const RecurrentSizes& s = d.s;
  const int64_t hidden = s.hidden, time = d.time(i);
  const Rows<T> states = d.h_before(i);
  for_batch(s, [&](int64_t row) {
    const T* const gates = d.gates_at(i) + row * s.columns;
    const T* const grad_y = up.y + (time * s.batch + row) * s.width;
    T* const to = up.gates + (time * s.batch + row) * s.columns;
    T* const grad_h = up.h + row * hidden;
    const T* const before = states.data == nullptr ? nullptr : states.data + row * states.stride;
    const auto loop = [&](auto has_before) {
#pragma omp simd
      for (int64_t j = 0; j < hidden; ++j) {
        const T reset = gates[j], update = gates[hidden + j], state = gates[2 * hidden + j],
                fresh = gates[3 * hidden + j];
        const T gh = grad_y[j] + grad_h[j];
        T difference = -fresh;
        if constexpr (has_before.value) difference += before[j];
        const T gn = gh * (T(1) - update) * (T(1) - fresh * fresh);
        to[j] = gn * state * reset * (T(1) - reset);
        to[hidden + j] = gh * difference * update * (T(1) - update);
        to[2 * hidden + j] = gn * reset;
        to[3 * hidden + j] = gn;
        grad_h[j] = gh * update;
      }
    };
    if (before != nullptr) return loop(std::true_type{});
    loop(std::false_type{});
  });
}

template <class T>
void plain_step_back(const RecurrentDirection<T>& d, const RecurrentUpstream<T>& up, int64_t i) {
  const RecurrentSizes& s = d.s;
  for_batch(s, [&](int64_t row) {
    const T* const h = d.y_at(i) + row * s.width;
    const int64_t at = d.time(i) * s.batch + row;
    const T* const grad_y = up.y + at * s.width;
    T* const to = up.gates + at * s.columns;
    const T* const grad_h = up.h + row * s.hidden;
    const auto loop = [&](auto activation) {
#pragma omp simd
      for (int64_t j = 0; j < s.hidden; ++j) to[j] = (grad_y[j] + grad_h[j]) * activation.derivative(h[j], h[j]);
    };
    if (s.cell == RecurrentCell::relu) return loop(functor::Relu{});
    loop(functor::Tanh{});
  });
}

// out [columns] = sum of the rows (+ out when `accumulate`); floats in chunks of rows, these in double.
template <class T>
void sum_rows(const T* x, int64_t rows, int64_t columns, int64_t stride, T* out, bool accumulate) {
  constexpr int64_t tile = 32, chunk = 128;
  parallel(ceil_div(columns, tile), rows * columns, 1, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin * tile; first < smaller(end * tile, columns); first += tile) {
      const int64_t lanes = smaller(tile, columns - first);
      double total[tile] = {};
      for (int64_t row = 0; row < rows; row += chunk) {
        T sums[tile] = {};
        for (int64_t r = row; r < smaller(row + chunk, rows); ++r) {
          const T* const from = x + r * stride + first;
#pragma omp simd
          for (int64_t j = 0; j < lanes; ++j) sums[j] += from[j];
        }
        for (int64_t j = 0; j < lanes; ++j) total[j] += static_cast<double>(sums[j]);
      }
      for (int64_t j = 0; j < lanes; ++j)
        out[first + j] = static_cast<T>(total[j]) + (accumulate ? out[first + j] : T(0));
    }
  });
}

// Gradients of what the inputs meet: columns [first, first + count) of the gates belong to the weight's rows from
// `row` on.
struct InputColumns {
  int64_t first, row, count;
};

// The columns of the gates that the inputs have a share in.
struct InputShares {
  explicit InputShares(const RecurrentSizes& s) : count(s.cell == RecurrentCell::gru ? 2 : 1) {
    parts[0] = {0, 0, s.cell == RecurrentCell::gru ? 2 * s.hidden : s.columns};
    parts[1] = {3 * s.hidden, 2 * s.hidden, s.hidden};
  }
  const InputColumns* begin() const { return parts; }
  const InputColumns* end() const { return parts + count; }
  InputColumns parts[2];
  int64_t count;
};

template <class T>
void weight_gradients(const RecurrentDirection<T>& d, const T* grad_gates,
                      const kernel::RecurrentGradients::Weights& out) {
  const RecurrentSizes& s = d.s;
  const InputShares shares(s);
  if (out.weight_ih.tensor.defined()) {
    for (const InputColumns& part : shares)
      product(part.count, s.input, s.rows, {grad_gates + part.first, s.columns, true}, {d.x, s.input},
              pointer<T>(out.weight_ih.tensor) + part.row * s.input, s.input, out.weight_ih.accumulate);
  }
  if (out.weight_hh.tensor.defined()) {
    // The states before all steps but the first are the outputs, shifted by one.
    const int64_t later = s.rows - s.batch, shift = d.reversed ? 0 : s.batch;
    T* const to = pointer<T>(out.weight_hh.tensor);
    product(s.state_columns, s.hidden, later, {grad_gates + shift * s.columns, s.columns, true},
            {d.y + (s.batch - shift) * s.width, s.width}, to, s.hidden, out.weight_hh.accumulate);
    if (d.h_0 != nullptr)
      product(s.state_columns, s.hidden, s.batch, {grad_gates + d.time(0) * s.batch * s.columns, s.columns, true},
              {d.h_0, s.hidden}, to, s.hidden, true);
  }
  if (out.bias_ih.tensor.defined()) {
    for (const InputColumns& part : shares)
      sum_rows(grad_gates + part.first, s.rows, part.count, s.columns, pointer<T>(out.bias_ih.tensor) + part.row,
               out.bias_ih.accumulate);
  }
  if (out.bias_hh.tensor.defined())
    sum_rows(grad_gates, s.rows, s.state_columns, s.columns, pointer<T>(out.bias_hh.tensor), out.bias_hh.accumulate);
}

// out = values (+ out when it accumulates), the part of a direction.
template <class T>
void hand_out(const kernel::RecurrentGradient& out, int64_t direction, const T* values, int64_t count) {
  if (!out.tensor.defined()) return;
  T* const to = pointer<T>(out.tensor) + direction * count;
  for (int64_t j = 0; j < count; ++j) to[j] = values[j] + (out.accumulate ? to[j] : T(0));
}

template <class T>
void recurrent_backward_of(const RecurrentProblem& p, const kernel::RecurrentTensors& t, const Tensor& grad_y,
                           const Tensor& grad_c_n, const kernel::RecurrentGradients& out) {
  const RecurrentSizes s(p);
  const int64_t state = s.batch * s.hidden;
  const Scratch<T> grad_gates(s.rows * s.columns), grad_states(2 * state);
  for (int64_t direction = 0; direction < p.directions; ++direction) {
    const RecurrentDirection<T> d(s, t, direction);
    const RecurrentUpstream<T> up{pointer<T>(grad_y) + direction * s.hidden, grad_gates.data(), grad_states.data(),
                                  grad_states.data() + state};
    for (int64_t j = 0; j < state; ++j) {
      up.h[j] = T(0);
      up.c[j] = grad_c_n.defined() ? pointer<T>(grad_c_n)[direction * state + j] : T(0);
    }
    for (int64_t i = s.steps - 1; i >= 0; --i) {
      if (s.cell == RecurrentCell::lstm) {
        lstm_step_back(d, up, i);
      } else if (s.cell == RecurrentCell::gru) {
        gru_step_back(d, up, i);
      } else {
        plain_step_back(d, up, i);
      }
      if (i > 0 || out.h_0.tensor.defined())
        product(s.batch, s.hidden, s.state_columns, {up.gates + d.time(i) * s.batch * s.columns, s.columns},
                {d.weight_hh, s.hidden}, up.h, s.hidden, s.cell == RecurrentCell::gru);
    }
    if (out.x.tensor.defined()) {
      bool add = out.x.accumulate || direction > 0;
      for (const InputColumns& part : InputShares(s)) {
        product(s.rows, s.input, part.count, {up.gates + part.first, s.columns},
                {d.weight_ih + part.row * s.input, s.input}, pointer<T>(out.x.tensor), s.input, add);
        add = true;
      }
    }
    hand_out(out.h_0, direction, up.h, state);
    hand_out(out.c_0, direction, up.c, state);
    weight_gradients(d, up.gates, out.weights[direction]);
  }
}

inline void recurrent_backward(const RecurrentProblem& p, const kernel::RecurrentTensors& t, const Tensor& grad_y,
                               const Tensor& grad_c_n, const kernel::RecurrentGradients& out) {
  if (has_16bit(t.y)) return recurrent_backward_by_float(p, t, grad_y, grad_c_n, out);
  visit_wide("recurrent", p.dtype, [&]<class T>(Type<T>) { recurrent_backward_of<T>(p, t, grad_y, grad_c_n, out); });
}

void install_recurrent() {
  kernel::recurrent_reserve.set(DeviceType::cpu, recurrent_reserve);
  kernel::recurrent_forward.set(DeviceType::cpu, recurrent_forward);
  kernel::recurrent_backward.set(DeviceType::cpu, recurrent_backward);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
