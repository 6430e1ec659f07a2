// Sums and extrema over the middle of x [outer, n, inner]; the loops of sums serve every fold (fold.h).
//
// A sum reads rows of neighbouring columns. Few columns are widened first: x [n, 10] is read as [n / 12, 120], whose
// twelve groups are folded together afterwards, so that the loop is vectorised for inner == 1 as well. Sums are kept in
// float64, which costs nothing beside the reading. Long ones are cut into parts that depend on the shape alone, so that
// the result does not depend on the number of threads.
#pragma once

#include "core/cpu/simd/convert.h"
#include "core/kernels/reduce.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

using kernel::Extremum;
using kernel::ReduceShape;

inline constexpr int64_t sum_columns = 128;  // sums side by side
inline constexpr int64_t sum_parts = 64;     // most parts of one long sum

// What sums are kept in; uint64 wraps around, as signed integers must not.
template <class T>
using Total = std::conditional_t<is_fractional<T>, double, uint64_t>;

// An operation Op of the loops below says what they add up:
//   using Element, Sum, Out;                types of x, of the sums, and of the results
//   Sum neutral() const;                    the sum of nothing
//   Sum map(Compute<Element> x) const;      what an element contributes
//   Sum join(Sum a, Sum b) const;
//   void store(Out* out, int64_t j, Sum sum) const;

template <class Op>
[[gnu::noinline]] void fold_row(const Op& op, const typename Op::Element* x, int64_t count, typename Op::Sum* total) {
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) total[j] = op.join(total[j], op.map(load(x, j)));
}

// total[j] = the sum over k of x[k * inner + j] for j < columns; total has room for sum_columns.
template <class Op>
void fold_over_rows(const Op& op, const typename Op::Element* x, int64_t n, int64_t inner, int64_t columns,
                    typename Op::Sum* total) {
  // Rows that lie side by side are read as one.
  const int64_t group = columns == inner ? smaller(sum_columns / columns, n) : 1;
  for (int64_t j = 0; j < sum_columns; ++j) total[j] = op.neutral();
  for (int64_t k = 0; k < n; k += group) fold_row(op, x + k * inner, smaller(group, n - k) * columns, total);
  for (int64_t left = group; left > 1;) {
    const int64_t half = left / 2;
    left -= half;
#pragma omp simd
    for (int64_t j = 0; j < half * columns; ++j) total[j] = op.join(total[j], total[left * columns + j]);
  }
}

// The n rows are cut into parts for the threads.
template <class Op>
void fold_by_parts(const Op& op, const typename Op::Element* x, int64_t n, int64_t inner, int64_t columns,
                   typename Op::Sum* total) {
  const int64_t rows = ceil_div(n, sum_parts);
  const int64_t parts = ceil_div(n, rows);
  typename Op::Sum totals[sum_parts][sum_columns];
  parallel(parts, n * columns, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = part * rows;
      fold_over_rows(op, x + first * inner, smaller(rows, n - first), inner, columns, totals[part]);
    }
  });
  for (int64_t j = 0; j < columns; ++j) {
    total[j] = op.neutral();
    for (int64_t part = 0; part < parts; ++part) total[j] = op.join(total[j], totals[part][j]);
  }
}

template <class Op>
void fold_middle(const Op& op, const typename Op::Element* from, const ReduceShape& shape, typename Op::Out* to) {
  const int64_t n = shape.n, inner = shape.inner;
  const int64_t tiles = ceil_div(inner, sum_columns);
  const int64_t units = shape.outer * tiles;
  const int64_t work = shape.outer * n * inner;
  const bool by_parts = units < 8 && work >= parallel_threshold;
  // x and out of one unit: up to sum_columns columns of one outer index.
  const auto each = [=, &op](int64_t unit) {
    const int64_t outer = unit / tiles;
    const int64_t column = unit % tiles * sum_columns;
    const int64_t columns = smaller(sum_columns, inner - column);
    const typename Op::Element* x = from + outer * n * inner + column;
    typename Op::Sum total[sum_columns];
    by_parts ? fold_by_parts(op, x, n, inner, columns, total) : fold_over_rows(op, x, n, inner, columns, total);
    for (int64_t j = 0; j < columns; ++j) op.store(to + outer * inner + column, j, total[j]);
  };
  if (by_parts) {
    for (int64_t unit = 0; unit < units; ++unit) each(unit);
  } else {
    parallel(units, work, 1, [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) each(unit);
    });
  }
}

// out[j] = scale * sum, or + it.
template <class T>
struct SumOf {
  using Element = T;
  using Sum = Total<T>;
  using Out = std::conditional_t<is_fractional<T>, T, int64_t>;

  double scale;
  bool accumulate;

  Sum neutral() const { return Sum(0); }
  [[gnu::always_inline]] Sum map(Compute<T> x) const { return static_cast<Sum>(x); }
  [[gnu::always_inline]] Sum join(Sum a, Sum b) const { return a + b; }
  void store(Out* out, int64_t j, Sum total) const {
    if constexpr (is_fractional<T>) {
      const double before = accumulate ? static_cast<double>(load(out, j)) : 0.0;
      assign(out[j], convert<T>(before + scale * total));
    } else {
      const int64_t sum = static_cast<int64_t>(total);
      const int64_t scaled = scale == 1 ? sum : static_cast<int64_t>(scale * static_cast<double>(sum));
      out[j] = math::add(accumulate ? out[j] : int64_t{0}, scaled);
    }
  }
};

inline void reduce_sum(const Tensor& x, const ReduceShape& shape, double scale, const Tensor& out, bool accumulate) {
  visit_all("reduce_sum", x.dtype(), [&]<class T>(Type<T>) {
    fold_middle(SumOf<T>{scale, accumulate}, pointer<T>(x), shape, pointer<typename SumOf<T>::Out>(out));
  });
}

// Whether v takes the place of `best`: it is further out, or it is NaN and best is not.
template <Extremum which, class C>
[[gnu::always_inline]] inline bool wins(C v, C best) {
  const bool beyond = which == Extremum::max ? v > best : v < best;
  return beyond | ((v != v) & (best == best));
}

template <Extremum which, class T>
void row_extremum(const T* x, int64_t n, T* value, int64_t* index) {
  constexpr int64_t lanes = 32;
  T best = x[0];
  int64_t i = 0;
  if (n >= lanes) {
    T bests[lanes];
    for (int64_t j = 0; j < lanes; ++j) bests[j] = x[j];
    for (i = lanes; i + lanes <= n; i += lanes) {
#pragma omp simd
      for (int64_t j = 0; j < lanes; ++j) {
        const T v = x[i + j];
        bests[j] = wins<which>(v, bests[j]) ? v : bests[j];
      }
    }
    for (int64_t j = 0; j < lanes; ++j) best = wins<which>(bests[j], best) ? bests[j] : best;
  }
  for (; i < n; ++i) {
    const T v = x[i];
    best = wins<which>(v, best) ? v : best;
  }
  if (value != nullptr) *value = best;
  if (index == nullptr) return;
  // The first of equals; NaN equals only NaN here.
  int64_t first = 0;
  if (best == best) {
    while (x[first] != best) ++first;
  } else {
    while (x[first] == x[first]) ++first;
  }
  *index = first;
}

template <Extremum which, class T>
void column_extremum(const T* x, int64_t n, int64_t inner, int64_t columns, T* values, int64_t* indices) {
  constexpr int64_t width = 64;
  for (int64_t first = 0; first < columns; first += width) {
    const int64_t count = smaller(width, columns - first);
    T best[width];
    int64_t index[width] = {};
    for (int64_t j = 0; j < count; ++j) best[j] = x[first + j];
    for (int64_t k = 1; k < n; ++k) {
      const T* row = x + k * inner + first;
#pragma omp simd
      for (int64_t j = 0; j < count; ++j) {
        const T v = row[j];
        const bool better = wins<which>(v, best[j]);
        best[j] = better ? v : best[j];
        index[j] = better ? k : index[j];
      }
    }
    for (int64_t j = 0; j < count; ++j) {
      if (values != nullptr) values[first + j] = best[j];
      if (indices != nullptr) indices[first + j] = index[j];
    }
  }
}

template <Extremum which, class T>
void extremum(const T* x, const ReduceShape& shape, T* values, int64_t* indices) {
  const int64_t n = shape.n, inner = shape.inner;
  parallel(shape.outer, shape.outer * n * inner, 1, [=](int64_t begin, int64_t end) {
    for (int64_t outer = begin; outer < end; ++outer) {
      const T* from = x + outer * n * inner;
      T* value = values == nullptr ? nullptr : values + outer * inner;
      int64_t* index = indices == nullptr ? nullptr : indices + outer * inner;
      if (inner == 1) {
        row_extremum<which>(from, n, value, index);
      } else {
        column_extremum<which>(from, n, inner, inner, value, index);
      }
    }
  });
}

inline void reduce_extremum(const Tensor& x, const ReduceShape& shape, Extremum which, const Tensor& values,
                            const Tensor& indices) {
  if (has_16bit(x)) return reduce_extremum_by_float(x, shape, which, values, indices);
  const auto run = [&]<class T>(Type<T>) {
    T* value = values.defined() ? pointer<T>(values) : nullptr;
    int64_t* index = indices.defined() ? pointer<int64_t>(indices) : nullptr;
    if (which == Extremum::max) {
      extremum<Extremum::max, T>(pointer<T>(x), shape, value, index);
    } else {
      extremum<Extremum::min, T>(pointer<T>(x), shape, value, index);
    }
  };
  if (is_floating(x.dtype())) {
    visit_wide("reduce_extremum", x.dtype(), run);
  } else {
    visit_integers("reduce_extremum", x.dtype(), run);
  }
}

inline void reduce_extremum_backward(const Tensor& grad, const Tensor& indices, const ReduceShape& shape,
                                     const Tensor& out) {
  visit_floating("reduce_extremum_backward", out.dtype(), [&]<class T>(Type<T>) {
    const T* upstream = pointer<T>(grad);
    const int64_t* index = pointer<int64_t>(indices);
    T* to = pointer<T>(out);
    const int64_t n = shape.n, inner = shape.inner;
    parallel(shape.outer, shape.outer * n * inner, 1, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin * n * inner; i < end * n * inner; ++i) store(to, i, 0);
      for (int64_t i = begin * inner; i < end * inner; ++i) {
        assign(to[(i / inner * n + index[i]) * inner + i % inner], upstream[i]);
      }
    });
  });
}

inline void install_reduce() {
  kernel::reduce_sum.set(DeviceType::cpu, reduce_sum);
  kernel::reduce_extremum.set(DeviceType::cpu, reduce_extremum);
  kernel::reduce_extremum_backward.set(DeviceType::cpu, reduce_extremum_backward);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
