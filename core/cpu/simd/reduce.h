// Sums and extrema over the middle of x [outer, n, inner].
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

template <class T>
[[gnu::noinline]] void add_row(const T* x, int64_t count, Total<T>* total) {
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) total[j] += static_cast<Total<T>>(load(x, j));
}

// total[j] = sum over k of x[k * inner + j] for j < columns; total has room for sum_columns.
template <class T>
void sum_over_rows(const T* x, int64_t n, int64_t inner, int64_t columns, Total<T>* total) {
  // Rows that lie side by side are read as one.
  const int64_t group = columns == inner ? smaller(sum_columns / columns, n) : 1;
  for (int64_t j = 0; j < sum_columns; ++j) total[j] = 0;
  for (int64_t k = 0; k < n; k += group) add_row(x + k * inner, smaller(group, n - k) * columns, total);
  for (int64_t left = group; left > 1;) {
    const int64_t half = left / 2;
    left -= half;
#pragma omp simd
    for (int64_t j = 0; j < half * columns; ++j) total[j] += total[left * columns + j];
  }
}

// out[j] = scale * total[j], or + it.
template <class T>
void finish_sum(const Total<T>* total, int64_t columns, double scale, bool accumulate,
                std::conditional_t<is_fractional<T>, T, int64_t>* out) {
  for (int64_t j = 0; j < columns; ++j) {
    if constexpr (is_fractional<T>) {
      const double before = accumulate ? static_cast<double>(load(out, j)) : 0.0;
      assign(out[j], convert<T>(before + scale * total[j]));
    } else {
      const int64_t sum = static_cast<int64_t>(total[j]);
      const int64_t scaled = scale == 1 ? sum : static_cast<int64_t>(scale * static_cast<double>(sum));
      out[j] = math::add(accumulate ? out[j] : int64_t{0}, scaled);
    }
  }
}

// The n rows are cut into parts for the threads.
template <class T>
void sum_by_parts(const T* x, int64_t n, int64_t inner, int64_t columns, Total<T>* total) {
  const int64_t rows = ceil_div(n, sum_parts);
  const int64_t parts = ceil_div(n, rows);
  Total<T> totals[sum_parts][sum_columns];
  parallel(parts, n * columns, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = part * rows;
      sum_over_rows(x + first * inner, smaller(rows, n - first), inner, columns, totals[part]);
    }
  });
  for (int64_t j = 0; j < columns; ++j) {
    total[j] = 0;
    for (int64_t part = 0; part < parts; ++part) total[j] += totals[part][j];
  }
}

inline void reduce_sum(const Tensor& x, const ReduceShape& shape, double scale, const Tensor& out, bool accumulate) {
  visit_all("reduce_sum", x.dtype(), [&]<class T>(Type<T>) {
    using Out = std::conditional_t<is_fractional<T>, T, int64_t>;
    const T* from = pointer<T>(x);
    Out* to = pointer<Out>(out);
    const int64_t n = shape.n, inner = shape.inner;
    const int64_t tiles = ceil_div(inner, sum_columns);
    const int64_t units = shape.outer * tiles;
    const int64_t work = shape.outer * n * inner;
    // x and out of one unit: up to sum_columns columns of one outer index.
    const auto each = [=](int64_t unit, const auto& sum) {
      const int64_t outer = unit / tiles;
      const int64_t column = unit % tiles * sum_columns;
      const int64_t columns = smaller(sum_columns, inner - column);
      Total<T> total[sum_columns];
      sum(from + outer * n * inner + column, n, inner, columns, total);
      finish_sum<T>(total, columns, scale, accumulate, to + outer * inner + column);
    };
    if (units < 8 && work >= parallel_threshold) {
      for (int64_t unit = 0; unit < units; ++unit) each(unit, sum_by_parts<T>);
    } else {
      parallel(units, work, 1, [&](int64_t begin, int64_t end) {
        for (int64_t unit = begin; unit < end; ++unit) each(unit, sum_over_rows<T>);
      });
    }
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
