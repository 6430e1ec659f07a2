// Recurrent layers, backward: from the last step to the first the gradient of the state goes through the gates, in one
// fused loop, and through the weights of the state, in tiles; the gradients of the weights and of the inputs are
// products over all steps in the end.
#pragma once

#include "core/cpu/simd/gates.h"
#include "core/cpu/simd/recurrent.h"
#include "core/functors.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

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
void lstm_step_back(const RecurrentDirection<T>& d, const RecurrentUpstream<T>& up, int64_t i, int64_t first,
                    int64_t end) {
  const RecurrentSizes& s = d.s;
  const int64_t hidden = s.hidden, time = d.time(i);
  for (int64_t row = first; row < end; ++row) {
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
        const T squashed = gate_tanh(c[j]), gh = grad_y[j] + grad_h[j];
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
    if (before != nullptr) {
      loop(std::true_type{});
    } else {
      loop(std::false_type{});
    }
  }
}

template <class T>
void gru_step_back(const RecurrentDirection<T>& d, const RecurrentUpstream<T>& up, int64_t i, int64_t first,
                   int64_t end) {
  const RecurrentSizes& s = d.s;
  const int64_t hidden = s.hidden, time = d.time(i);
  const Rows<T> states = d.h_before(i);
  for (int64_t row = first; row < end; ++row) {
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
    if (before != nullptr) {
      loop(std::true_type{});
    } else {
      loop(std::false_type{});
    }
  }
}

template <class T>
void plain_step_back(const RecurrentDirection<T>& d, const RecurrentUpstream<T>& up, int64_t i, int64_t first,
                     int64_t end) {
  const RecurrentSizes& s = d.s;
  for (int64_t row = first; row < end; ++row) {
    const T* const h = d.y_at(i) + row * s.width;
    const int64_t at = d.time(i) * s.batch + row;
    const T* const grad_y = up.y + at * s.width;
    T* const to = up.gates + at * s.columns;
    const T* const grad_h = up.h + row * s.hidden;
    const auto loop = [&](auto activation) {
#pragma omp simd
      for (int64_t j = 0; j < s.hidden; ++j) to[j] = (grad_y[j] + grad_h[j]) * activation.derivative(h[j], h[j]);
    };
    if (s.cell == RecurrentCell::relu) {
      loop(functor::Relu{});
    } else {
      loop(functor::Tanh{});
    }
  }
}

// out [columns] = sum of the rows; floats in chunks of rows, these in double.
template <class T>
void sum_rows(const T* x, int64_t rows, int64_t columns, T* out) {
  constexpr int64_t tile = 32, chunk = 128;
  parallel(ceil_div(columns, tile), rows * columns, 1, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin * tile; first < smaller(end * tile, columns); first += tile) {
      const int64_t lanes = smaller(tile, columns - first);
      double total[tile] = {};
      for (int64_t row = 0; row < rows; row += chunk) {
        T sums[tile] = {};
        for (int64_t r = row; r < smaller(row + chunk, rows); ++r) {
          const T* const from = x + r * columns + first;
#pragma omp simd
          for (int64_t j = 0; j < lanes; ++j) sums[j] += from[j];
        }
        for (int64_t j = 0; j < lanes; ++j) total[j] += static_cast<double>(sums[j]);
      }
      for (int64_t j = 0; j < lanes; ++j) out[first + j] = static_cast<T>(total[j]);
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

// out = values (+ out when it accumulates), from the element `first` on.
template <class T>
void hand_out(const kernel::RecurrentGradient& out, int64_t first, const T* values, int64_t count) {
  if (!out.tensor.defined()) return;
  T* const to = pointer<T>(out.tensor) + first;
  for (int64_t j = 0; j < count; ++j) to[j] = values[j] + (out.accumulate ? to[j] : T(0));
}

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
  if (!out.bias_ih.tensor.defined() && !out.bias_hh.tensor.defined()) return;
  const Scratch<T> sums(s.columns, ScratchContent::anything);
  sum_rows(grad_gates, s.rows, s.columns, sums.data());
  for (const InputColumns& part : shares) hand_out(out.bias_ih, part.row, sums.data() + part.first, part.count);
  hand_out(out.bias_hh, 0, sums.data(), s.state_columns);
}

// The weights of the state in panels of as many columns as a tile has, [panels][state_columns][vectors * lanes].
template <class T>
struct StatePanels {
  static constexpr int64_t width = tile_vectors * lanes_of<T>;

  explicit StatePanels(const RecurrentSizes& sizes)
      : s(sizes), count(ceil_div(s.hidden, width)), size(width * s.state_columns) {}

  void pack(const T* weight, T* to) const {
    parallel(count, count * size, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)
        for (int64_t k = 0; k < s.state_columns; ++k)
          for (int64_t j = 0; j < width; ++j) {
            const int64_t column = p * width + j;
            to[p * size + k * width + j] = column < s.hidden ? weight[k * s.hidden + column] : T(0);
          }
    });
  }

  const RecurrentSizes& s;
  int64_t count, size;  // of panels, and of one of them
};

// What the gradient of the gates says about the states before a step, for some rows and columns.
template <class T>
void state_gradients(const RecurrentDirection<T>& d, const RecurrentUpstream<T>& up, const StatePanels<T>& panels,
                     const T* packed, int64_t i, const RecurrentPart& part) {
  constexpr int64_t width = StatePanels<T>::width;
  const RecurrentSizes& s = d.s;
  const T* const gates = up.gates + d.time(i) * s.batch * s.columns;
  for (int64_t p = part.first_panel; p < part.end_panel; ++p) {
    for_tiles(part.first_row, part.end_row, [&](auto height, int64_t row) {
      constexpr int rows = decltype(height)::value, lanes = lanes_of<T>;
      Tile<T, rows> tile = {};
      multiply<all_vectors>(tile, gates + row * s.columns, s.columns, s.state_columns, packed + p * panels.size);
      T sums[rows][width];
      for (int r = 0; r < rows; ++r)
        for (int j = 0; j < tile_vectors; ++j) store_vector(&sums[r][j * lanes], tile.sums[r][j]);
      const int64_t count = smaller(width, s.hidden - p * width);
      for (int r = 0; r < rows; ++r) {
        T* const to = up.h + (row + r) * s.hidden + p * width;
        if (s.cell == RecurrentCell::gru) {
          for (int64_t j = 0; j < count; ++j) to[j] += sums[r][j];
        } else {
          for (int64_t j = 0; j < count; ++j) to[j] = sums[r][j];
        }
      }
    });
  }
}

template <class T>
void recurrent_backward_of(const RecurrentProblem& p, const kernel::RecurrentTensors& t, const Tensor& grad_y,
                           const Tensor& grad_c_n, const kernel::RecurrentGradients& out) {
  const RecurrentSizes s(p);
  const int64_t state = s.batch * s.hidden;
  const StatePanels<T> panels(s);
  const Scratch<T> grad_gates(s.rows * s.columns, ScratchContent::anything), grad_states(2 * state),
      packed(panels.count * panels.size, ScratchContent::anything);
  for (int64_t direction = 0; direction < p.directions; ++direction) {
    const RecurrentDirection<T> d(s, t, nullptr, direction);
    const RecurrentUpstream<T> up{pointer<T>(grad_y) + direction * s.hidden, grad_gates.data(), grad_states.data(),
                                  grad_states.data() + state};
    for (int64_t j = 0; j < state; ++j) {
      up.h[j] = T(0);
      up.c[j] = grad_c_n.defined() ? pointer<T>(grad_c_n)[direction * state + j] : T(0);
    }
    if (s.steps > 1 || out.h_0.tensor.defined()) panels.pack(d.weight_hh, packed.data());
    for_steps(
        s, panels.count, panels.count * panels.size * static_cast<int64_t>(sizeof(T)),
        [&](int64_t k, int64_t first, int64_t end) {
          const int64_t i = s.steps - 1 - k;
          if (s.cell == RecurrentCell::lstm) {
            lstm_step_back(d, up, i, first, end);
          } else if (s.cell == RecurrentCell::gru) {
            gru_step_back(d, up, i, first, end);
          } else {
            plain_step_back(d, up, i, first, end);
          }
        },
        [&](int64_t k, const RecurrentPart& part) {
          const int64_t i = s.steps - 1 - k;
          if (i > 0 || out.h_0.tensor.defined()) state_gradients(d, up, panels, packed.data(), i, part);
        });
    if (out.x.tensor.defined()) {
      bool add = out.x.accumulate || direction > 0;
      for (const InputColumns& part : InputShares(s)) {
        product(s.rows, s.input, part.count, {up.gates + part.first, s.columns},
                {d.weight_ih + part.row * s.input, s.input}, pointer<T>(out.x.tensor), s.input, add);
        add = true;
      }
    }
    hand_out(out.h_0, direction * state, up.h, state);
    hand_out(out.c_0, direction * state, up.c, state);
    weight_gradients(d, up.gates, out.weights[direction]);
  }
}

// No sequences, no gradient.
template <class T>
void clear_weight_gradients(const RecurrentProblem& p, const kernel::RecurrentGradients& out) {
  for (int64_t direction = 0; direction < p.directions; ++direction) {
    const auto& of = out.weights[direction];
    for (const kernel::RecurrentGradient* gradient : {&of.weight_ih, &of.weight_hh, &of.bias_ih, &of.bias_hh}) {
      if (!gradient->tensor.defined() || gradient->accumulate) continue;
      for (int64_t j = 0; j < gradient->tensor.numel(); ++j) pointer<T>(gradient->tensor)[j] = T(0);
    }
  }
}

inline void recurrent_backward(const RecurrentProblem& p, const kernel::RecurrentTensors& t, const Tensor& grad_y,
                               const Tensor& grad_c_n, const kernel::RecurrentGradients& out) {
  if (has_16bit(t.y)) return recurrent_backward_by_float(p, t, grad_y, grad_c_n, out);
  visit_wide("recurrent", p.dtype, [&]<class T>(Type<T>) {
    if (p.batch == 0) return clear_weight_gradients<T>(p, out);
    recurrent_backward_of<T>(p, t, grad_y, grad_c_n, out);
  });
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
