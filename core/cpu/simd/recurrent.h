// Recurrent layers: their sizes, their memory, and how their work is shared out.
//
// The reserve holds for every direction the gates of all steps, [t, n, columns], and behind them the memory cells of an
// LSTM, [t, n, hidden]. Columns are i, f, g, o of an LSTM; r, z, n of a GRU and before n, in place of the third, the
// state's part of it, which the reset gate multiplies: r, z, W_hn h + b_hn, n. The first three columns are then what
// the product with the state adds to. A plain RNN has its one gate in the output itself. Where no way back may follow
// nothing is kept: the cells of an LSTM stand in c_n.
#pragma once

#include "core/cpu/products.h"
#include "core/cpu/simd/tile.h"
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
        training(p.training),
        gates(is_plain || !training ? 0 : rows * columns),
        cells(p.cell == RecurrentCell::lstm && training ? rows * p.hidden : 0) {}
  RecurrentCell cell;
  int64_t steps, batch, rows, input, hidden;
  int64_t width;          // of a row of the output
  int64_t columns;        // of a row of gates
  int64_t state_columns;  // of these, what the product with the state gives
  bool is_plain, training;
  int64_t gates, cells;  // of one direction in the reserve
  int64_t reserve() const { return gates + cells; }
};

// One direction of a layer: its pointers, and the order of its steps.
template <class T>
struct RecurrentDirection {
  // c_n is looked at where there is no reserve.
  RecurrentDirection(const RecurrentSizes& sizes, const kernel::RecurrentTensors& t, const Tensor* c_n,
                     int64_t direction)
      : s(sizes),
        reversed(direction == 1),
        x(pointer<T>(t.x)),
        y(pointer<T>(t.y) + direction * s.hidden),
        h_0(t.h_0.defined() ? pointer<T>(t.h_0) + direction * s.batch * s.hidden : nullptr),
        c_0(t.c_0.defined() ? pointer<T>(t.c_0) + direction * s.batch * s.hidden : nullptr),
        weight_ih(pointer<T>(t.weights[direction].weight_ih)),
        weight_hh(pointer<T>(t.weights[direction].weight_hh)),
        gates(s.training && !s.is_plain ? pointer<T>(t.reserve) + direction * s.reserve() : nullptr),
        cells(s.cell != RecurrentCell::lstm ? nullptr
              : s.training                  ? gates + s.gates
                                            : pointer<T>(*c_n) + direction * s.batch * s.hidden) {}

  // The time of the i-th step in this direction.
  int64_t time(int64_t i) const { return reversed ? s.steps - 1 - i : i; }
  T* gates_at(int64_t i) const { return gates + time(i) * s.batch * s.columns; }
  T* cells_at(int64_t i) const { return s.training ? cells + time(i) * s.batch * s.hidden : cells; }
  T* y_at(int64_t i) const { return y + time(i) * s.batch * s.width; }
  // The states before a step; null for zeros.
  Rows<T> h_before(int64_t i) const { return i == 0 ? Rows<T>{h_0, s.hidden} : Rows<T>{y_at(i - 1), s.width}; }
  const T* c_before(int64_t i) const { return i == 0 ? c_0 : cells_at(i - 1); }

  const RecurrentSizes& s;
  bool reversed;
  const T* x;
  T* y;
  const T *h_0, *c_0, *weight_ih, *weight_hh;
  T *gates, *cells;
};

// A share of a step: columns in panels, and rows of the batch.
struct RecurrentPart {
  int64_t first_panel, end_panel, first_row, end_row;
};

// For steps that have nothing to do by rows.
struct Nothing {};

// Calls by_row(i, first row, end) and then by_panel(i, part) for steps 0 to s.steps - 1, shared out among the threads.
// No row of a batch needs another one: where the weights stay in a core's cache, each thread takes some rows through
// all steps. Large weights are better read by one thread each; all of them meet after every call then.
template <class ByRow, class ByPanel>
[[gnu::always_inline]] inline void for_steps(const RecurrentSizes& s, int64_t panels, int64_t weight_bytes,
                                             const ByRow& by_row, const ByPanel& by_panel) {
  constexpr bool has_rows = !std::is_same_v<ByRow, Nothing>;
  constexpr int64_t cache = 1 << 20, group = 8 * tile_rows;
  // Each unit costs some exponentials and, eight at a time, the products with the states.
  const int64_t work = s.batch * s.hidden * (16 + s.state_columns / 8);
  if (weight_bytes <= cache && s.batch >= 4 * thread_count()) {
    return parallel(s.batch, work * s.steps, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = 0; i < s.steps; ++i) {
        if constexpr (has_rows) by_row(i, begin, end);
        by_panel(i, RecurrentPart{0, panels, begin, end});
      }
    });
  }
  const int64_t groups = ceil_div(s.batch, group);
  for (int64_t i = 0; i < s.steps; ++i) {
    if constexpr (has_rows) parallel(s.batch, work, 1, [&](int64_t begin, int64_t end) { by_row(i, begin, end); });
    parallel(panels * groups, work, 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        const int64_t panel = k / groups, row = k % groups * group;
        by_panel(i, RecurrentPart{panel, panel + 1, row, smaller(row + group, s.batch)});
      }
    });
  }
}

inline void recurrent_reserve(const RecurrentProblem& p, int64_t* bytes) {
  const int64_t size = p.dtype == DType::float64 ? 8 : 4;  // 16-bit types compute in float32
  *bytes = RecurrentSizes(p).reserve() * p.directions * size;
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
