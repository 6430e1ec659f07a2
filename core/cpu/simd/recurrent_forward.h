// Recurrent layers, forward: the sums of a few rows and units over inputs and states are made in registers, in tiles in
// which a unit's gates lie side by side, and go through the gates at once. oneDNN's own primitives for LSTM and GRU
// want the weights in another order and are slower.
//
// A panel holds what its tiles need of biases and weights. Of an LSTM its vectors are i, f, g, o of as many units as a
// vector has lanes, of a GRU the four columns of the reserve; those of a plain RNN are units that follow each other.
#pragma once

#include "core/cpu/simd/gates.h"
#include "core/cpu/simd/recurrent.h"
#include "core/functors.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

// How the vectors of a tile are used by a cell: every plain RNN is RecurrentCell::tanh here.
template <class T, RecurrentCell cell>
struct RecurrentPanels {
  static constexpr int lanes = lanes_of<T>;
  static constexpr bool is_plain = cell == RecurrentCell::tanh;
  static constexpr int units = is_plain ? tile_vectors * lanes : lanes;
  // Which vectors get a share of the inputs, and which of the states.
  static constexpr int input_mask = cell == RecurrentCell::gru ? 0b1011 : all_vectors;
  static constexpr int state_mask = cell == RecurrentCell::gru ? 0b0111 : all_vectors;

  explicit RecurrentPanels(const RecurrentSizes& sizes)
      : s(sizes),
        count(ceil_div(s.hidden, units)),
        inputs_at(tile_vectors * lanes),
        states_at(inputs_at + count_of(input_mask) * lanes * s.input),
        size(states_at + count_of(state_mask) * lanes * s.hidden) {}

  // Calls visit(number of the vector's lane, row of the weights or -1) for the first `vectors` vectors of a panel.
  template <class Visit>
  void visit_lanes(int64_t panel, int vectors, const Visit& visit) const {
    for (int64_t k = 0; k < vectors * lanes; ++k) {
      const int64_t unit = panel * units + (is_plain ? k : k % lanes);
      visit(k, unit >= s.hidden ? -1 : is_plain ? unit : k / lanes * s.hidden + unit);
    }
  }

  void pack_matrix(int64_t panel, int vectors, const T* weight, int64_t columns, T* to) const {
    const int64_t stride = vectors * lanes;
    visit_lanes(panel, vectors, [&](int64_t k, int64_t row) {
      for (int64_t l = 0; l < columns; ++l) to[l * stride + k] = row < 0 ? T(0) : weight[row * columns + l];
    });
  }

  // The biases alone where the weights are read in place.
  void pack(int64_t panel, const RecurrentWeights& w, bool with_weights, T* to) const {
    const T* const ih = w.bias_ih.defined() ? pointer<T>(w.bias_ih) : nullptr;
    const T* const hh = w.bias_hh.defined() ? pointer<T>(w.bias_hh) : nullptr;
    for (int64_t k = 0; k < inputs_at; ++k) to[k] = T(0);
    visit_lanes(panel, count_of(state_mask), [&](int64_t k, int64_t row) {
      if (row >= 0 && hh != nullptr) to[k] = hh[row];
    });
    visit_lanes(panel, count_of(input_mask), [&](int64_t k, int64_t row) {
      if (row >= 0 && ih != nullptr) to[cell == RecurrentCell::gru && k >= 2 * lanes ? k + lanes : k] += ih[row];
    });
    if (!with_weights) return;
    pack_matrix(panel, count_of(input_mask), pointer<T>(w.weight_ih), s.input, to + inputs_at);
    pack_matrix(panel, count_of(state_mask), pointer<T>(w.weight_hh), s.hidden, to + states_at);
  }

  const RecurrentSizes& s;
  int64_t count;                       // of panels
  int64_t inputs_at, states_at, size;  // of a panel's parts: biases, weights of the inputs, of the states
};

// The sums of a row of a tile, [vectors][lanes], and the units that they belong to.
template <class T>
struct RecurrentUnits {
  const T* sums;
  int64_t row, first, count;
};

// Calls loop(count) with a number that the compiler knows where all units are there.
template <int most, class Loop>
[[gnu::always_inline]] inline void for_units(int64_t count, const Loop& loop) {
  if (count >= most) return loop(Count<most>{});
  loop(count);
}

template <class T>
[[gnu::always_inline]] inline void lstm_units(const RecurrentDirection<T>& d, int64_t i, const RecurrentUnits<T>& u) {
  constexpr int lanes = lanes_of<T>;
  const int64_t hidden = d.s.hidden;
  const bool keep = d.s.training;
  T* const gates = keep ? d.gates_at(i) + u.row * d.s.columns + u.first : nullptr;
  T* const c = d.cells_at(i) + u.row * hidden + u.first;
  T* const h = d.y_at(i) + u.row * d.s.width + u.first;
  const T* const all_before = d.c_before(i);
  T before[lanes] = {};
  if (all_before != nullptr)
    for (int64_t j = 0; j < u.count; ++j) before[j] = all_before[u.row * hidden + u.first + j];
  for_units<lanes>(u.count, [&](auto count) {
    T in[lanes], forget[lanes], cell[lanes], out[lanes];
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) {
      in[j] = gate_sigmoid(u.sums[j]), forget[j] = gate_sigmoid(u.sums[lanes + j]);
      cell[j] = gate_tanh(u.sums[2 * lanes + j]), out[j] = gate_sigmoid(u.sums[3 * lanes + j]);
      const T next = in[j] * cell[j] + forget[j] * before[j];
      c[j] = next;
      h[j] = out[j] * gate_tanh(next);
    }
    if (!keep) return;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j)
      gates[j] = in[j], gates[hidden + j] = forget[j], gates[2 * hidden + j] = cell[j], gates[3 * hidden + j] = out[j];
  });
}

// The same for rows that follow each other, with all units of a vector: sums are [rows][vectors * lanes].
template <int rows>
[[gnu::always_inline]] inline void lstm_rows(const RecurrentDirection<float>& d, int64_t i,
                                             const RecurrentUnits<float>& u) {
  using Gates = Bundle<rows>;
  constexpr int lanes = lanes_of<float>;
  const int64_t hidden = d.s.hidden;
  const auto gate = [&](int g) {
    return Gates::make([&](int r) { return load_vector(u.sums + (r * tile_vectors + g) * lanes); });
  };
  const auto store = [&](const Gates& values, float* to, int64_t stride) {
    for (int r = 0; r < rows; ++r) store_vector(to + r * stride, values.parts[r]);
  };
  const float* const all_before = d.c_before(i);
  Gates before(0.0f);
  if (all_before != nullptr)
    before = Gates::make([&](int r) { return load_vector(all_before + (u.row + r) * hidden + u.first); });
  const Gates in = gate_sigmoid(gate(0)), forget = gate_sigmoid(gate(1)), cell = gate_tanh(gate(2)),
              out = gate_sigmoid(gate(3)), next = in * cell + forget * before;
  store(next, d.cells_at(i) + u.row * hidden + u.first, hidden);
  store(out * gate_tanh(next), d.y_at(i) + u.row * d.s.width + u.first, d.s.width);
  if (!d.s.training) return;
  float* const gates = d.gates_at(i) + u.row * d.s.columns + u.first;
  const Gates* const all[] = {&in, &forget, &cell, &out};
  for (int g = 0; g < 4; ++g) store(*all[g], gates + g * hidden, d.s.columns);
}

template <class T>
[[gnu::always_inline]] inline void gru_units(const RecurrentDirection<T>& d, int64_t i, const RecurrentUnits<T>& u) {
  constexpr int lanes = lanes_of<T>;
  const int64_t hidden = d.s.hidden;
  const bool keep = d.s.training;
  T* const gates = keep ? d.gates_at(i) + u.row * d.s.columns + u.first : nullptr;
  T* const h = d.y_at(i) + u.row * d.s.width + u.first;
  const Rows<T> states = d.h_before(i);
  T before[lanes] = {};
  if (states.data != nullptr)
    for (int64_t j = 0; j < u.count; ++j) before[j] = states.data[u.row * states.stride + u.first + j];
  for_units<lanes>(u.count, [&](auto count) {
    T reset[lanes], update[lanes], fresh[lanes];
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) {
      reset[j] = gate_sigmoid(u.sums[j]), update[j] = gate_sigmoid(u.sums[lanes + j]);
      fresh[j] = gate_tanh(u.sums[3 * lanes + j] + reset[j] * u.sums[2 * lanes + j]);
      h[j] = (T(1) - update[j]) * fresh[j] + update[j] * before[j];
    }
    if (!keep) return;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) {
      gates[j] = reset[j], gates[hidden + j] = update[j], gates[3 * hidden + j] = fresh[j];
      gates[2 * hidden + j] = u.sums[2 * lanes + j];
    }
  });
}

template <class T>
[[gnu::always_inline]] inline void plain_units(const RecurrentDirection<T>& d, int64_t i, const RecurrentUnits<T>& u) {
  T* const h = d.y_at(i) + u.row * d.s.width + u.first;
  const bool relu = d.s.cell == RecurrentCell::relu;
  for_units<tile_vectors * lanes_of<T>>(u.count, [&](auto count) {
    if (relu) {
#pragma omp simd
      for (int64_t j = 0; j < count; ++j) h[j] = functor::Relu{}.forward(u.sums[j]);
    } else {
#pragma omp simd
      for (int64_t j = 0; j < count; ++j) h[j] = gate_tanh(u.sums[j]);
    }
  });
}

// sums [rows][vectors * lanes] += a [rows, k] times rows of the weight in place, which is cheaper than packing it for a
// few rows in all. The order of a sum is that of `multiply`; some of them at a time keep the processor busy.
template <int mask, class T, RecurrentCell cell>
void multiply_in_place(T* sums, int rows, const T* a, int64_t stride, int64_t k, const T* weight,
                       const RecurrentPanels<T, cell>& panels, int64_t panel) {
  constexpr int lanes = lanes_of<T>, together = 8;
  T* to[tile_vectors * lanes];
  const T* from[tile_vectors * lanes];
  int64_t count = 0;
  panels.visit_lanes(panel, count_of(mask), [&](int64_t lane, int64_t row) {
    if (row < 0) return;
    // The weight's third block of rows belongs to the fourth vector where the third takes no part.
    to[count] = sums + ((mask >> (lane / lanes) & 1) != 0 ? lane : lane + lanes);
    from[count++] = weight + row * k;
  });
  for (int i = 0; i < rows; ++i) {
    const T* const factors = a + i * stride;
    const int64_t at = i * tile_vectors * lanes;
    for (int64_t first = 0; first < count; first += together) {
      if (first + together <= count) {
        T sum[together];
        for (int q = 0; q < together; ++q) sum[q] = to[first + q][at];
        for (int64_t l = 0; l < k; ++l)
          for (int q = 0; q < together; ++q) sum[q] = multiply_add(factors[l], from[first + q][l], sum[q]);
        for (int q = 0; q < together; ++q) to[first + q][at] = sum[q];
      } else {
        for (int64_t q = first; q < count; ++q)
          for (int64_t l = 0; l < k; ++l) to[q][at] = multiply_add(factors[l], from[q][l], to[q][at]);
      }
    }
  }
}

// One step of one direction for some rows and panels; `packed` holds all of these.
template <class T, RecurrentCell cell>
void forward_step(const RecurrentDirection<T>& d, const RecurrentPanels<T, cell>& panels, const T* packed,
                  bool in_place, int64_t i, const RecurrentPart& part) {
  using Panels = RecurrentPanels<T, cell>;
  const RecurrentSizes& s = d.s;
  const Rows<T> states = d.h_before(i);
  const T* const x = d.x + d.time(i) * s.batch * s.input;
  for (int64_t p = part.first_panel; p < part.end_panel; ++p) {
    const T* const panel = packed + p * panels.size;
    for_tiles(part.first_row, part.end_row, [&](auto height, int64_t row) {
      constexpr int rows = decltype(height)::value, lanes = lanes_of<T>;
      const T* const inputs = x + row * s.input;
      const T* const h = states.data == nullptr ? nullptr : states.data + row * states.stride;
      T sums[rows][tile_vectors * lanes];
      if (in_place) {
        for (int r = 0; r < rows; ++r)
          for (int j = 0; j < tile_vectors * lanes; ++j) sums[r][j] = panel[j];
        multiply_in_place<Panels::input_mask>(sums[0], rows, inputs, s.input, s.input, d.weight_ih, panels, p);
        if (h != nullptr)
          multiply_in_place<Panels::state_mask>(sums[0], rows, h, states.stride, s.hidden, d.weight_hh, panels, p);
      } else {
        Tile<T, rows> tile;
        for (int r = 0; r < rows; ++r)
          for (int j = 0; j < tile_vectors; ++j) tile.sums[r][j] = load_vector(panel + j * lanes);
        multiply<Panels::input_mask>(tile, inputs, s.input, s.input, panel + panels.inputs_at);
        if (h != nullptr) multiply<Panels::state_mask>(tile, h, states.stride, s.hidden, panel + panels.states_at);
        for (int r = 0; r < rows; ++r)
          for (int j = 0; j < tile_vectors; ++j) store_vector(&sums[r][j * lanes], tile.sums[r][j]);
      }
      const int64_t first = p * Panels::units, count = smaller(Panels::units, s.hidden - first);
      constexpr bool bundles = cell == RecurrentCell::lstm && std::is_same_v<T, float>;
      for (int r = 0; r < rows; ++r) {
        const RecurrentUnits<T> units{sums[r], row + r, first, count};
        if constexpr (bundles) {
          if (r + 1 < rows && count == lanes) {
            lstm_rows<2>(d, i, units);
            ++r;
            continue;
          }
        }
        if constexpr (cell == RecurrentCell::lstm) {
          lstm_units(d, i, units);
        } else if constexpr (cell == RecurrentCell::gru) {
          gru_units(d, i, units);
        } else {
          plain_units(d, i, units);
        }
      }
    });
  }
}

template <class T, RecurrentCell cell>
void forward_direction(const RecurrentDirection<T>& d, const RecurrentWeights& weights) {
  constexpr int64_t few = 4;
  const RecurrentPanels<T, cell> panels(d.s);
  const bool in_place = d.s.rows < few;
  const Scratch<T> packed(panels.count * panels.size, ScratchContent::anything);
  parallel(panels.count, in_place ? 0 : panels.count * panels.size, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) panels.pack(p, weights, !in_place, packed.data() + p * panels.size);
  });
  for_steps(d.s, panels.count, panels.count * panels.size * static_cast<int64_t>(sizeof(T)), Nothing{},
            [&](int64_t i, const RecurrentPart& part) {
              forward_step<T, cell>(d, panels, packed.data(), in_place, i, part);
            });
}

template <class T>
void recurrent_forward_of(const RecurrentProblem& p, const kernel::RecurrentTensors& t, const Tensor& c_n) {
  const RecurrentSizes s(p);
  for (int64_t direction = 0; direction < p.directions; ++direction) {
    const RecurrentDirection<T> d(s, t, &c_n, direction);
    const RecurrentWeights& weights = t.weights[direction];
    switch (s.cell) {
      case RecurrentCell::lstm: forward_direction<T, RecurrentCell::lstm>(d, weights); break;
      case RecurrentCell::gru: forward_direction<T, RecurrentCell::gru>(d, weights); break;
      default: forward_direction<T, RecurrentCell::tanh>(d, weights);
    }
    if (s.cell != RecurrentCell::lstm || !s.training) continue;
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
