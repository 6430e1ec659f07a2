// Softmax and its logarithm.
//
// A row is passed three times: the largest element, the sum of exponentials relative to it, the result. Rows in the
// first-level cache make the passes cheap, and nothing overflows. For inner > 1 the same happens to a tile of columns.
// 16-bit types are converted to float32 and back (by_float.cpp).
#pragma once

#include "core/cpu/simd/common.h"
#include "core/kernels/reduce.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

using kernel::ReduceShape;

// An element costs an exponential: threads pay off earlier than in a plain loop.
inline constexpr int64_t exp_work = 4;

inline constexpr int64_t lanes = 32;
inline constexpr int64_t softmax_columns = 64;

// The sum of term(i) for 0 <= i < n, in interleaved partial sums.
template <class T, class Term>
[[gnu::always_inline]] inline T sum_of(int64_t n, const Term& term) {
  T partial[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
#pragma omp simd
    for (int64_t j = 0; j < lanes; ++j) partial[j] += term(i + j);
  }
  const int64_t rest = n - i;
#pragma omp simd
  for (int64_t j = 0; j < rest; ++j) partial[j] += term(i + j);
  for (int64_t width = lanes / 2; width > 0; width /= 2) {
    for (int64_t j = 0; j < width; ++j) partial[j] += partial[j + width];
  }
  return partial[0];
}

// The largest element; NaN is passed over, its exponential spoils the row anyway.
template <class T>
[[gnu::always_inline]] inline T largest(const T* x, int64_t n) {
  T best[lanes];
  for (int64_t j = 0; j < lanes; ++j) best[j] = -static_cast<T>(__builtin_inf());
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
#pragma omp simd
    for (int64_t j = 0; j < lanes; ++j) best[j] = x[i + j] > best[j] ? x[i + j] : best[j];
  }
  for (; i < n; ++i) best[0] = x[i] > best[0] ? x[i] : best[0];
  for (int64_t width = lanes / 2; width > 0; width /= 2) {
    for (int64_t j = 0; j < width; ++j) best[j] = best[j + width] > best[j] ? best[j + width] : best[j];
  }
  return best[0];
}

template <bool logarithm, class T>
void softmax_row(const T* x, int64_t n, T* y) {
  const T top = largest(x, n);
  if constexpr (logarithm) {
    const T log_sum = math::log(sum_of<T>(n, [&](int64_t i) { return math::exp(x[i] - top); }));
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] - top - log_sum;
  } else {
    const T sum = sum_of<T>(n, [&](int64_t i) { return y[i] = math::exp(x[i] - top); });
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] /= sum;
  }
}

template <bool logarithm, class T>
void softmax_tile(const T* x, int64_t n, int64_t inner, int64_t columns, T* y) {
  T top[softmax_columns], norm[softmax_columns];
  double sum[softmax_columns] = {};  // of n terms one after the other, which would be too coarse in float
  for (int64_t j = 0; j < columns; ++j) top[j] = -static_cast<T>(__builtin_inf());
  for (int64_t k = 0; k < n; ++k) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      const T v = x[k * inner + j];
      top[j] = v > top[j] ? v : top[j];
    }
  }
  for (int64_t k = 0; k < n; ++k) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) sum[j] += static_cast<double>(math::exp(x[k * inner + j] - top[j]));
  }
  for (int64_t j = 0; j < columns; ++j) norm[j] = static_cast<T>(logarithm ? math::log(sum[j]) : sum[j]);
  for (int64_t k = 0; k < n; ++k) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      const T shifted = x[k * inner + j] - top[j];
      y[k * inner + j] = logarithm ? shifted - norm[j] : math::exp(shifted) / norm[j];
    }
  }
}

// Calls row(offset) for rows [n] when inner is 1, else tile(offset, columns) for tiles of columns [n, columns].
template <class Row, class Tile>
[[gnu::always_inline]] inline void for_each_row_or_tile(const ReduceShape& shape, const Row& row, const Tile& tile_of) {
  const int64_t n = shape.n, inner = shape.inner;
  const int64_t tiles = ceil_div(inner, softmax_columns);
  const int64_t units = shape.outer * tiles;
  parallel(units, exp_work * shape.outer * n * inner, 1, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t column = unit % tiles * softmax_columns;
      const int64_t offset = unit / tiles * n * inner + column;
      if (inner == 1) {
        row(offset);
      } else {
        tile_of(offset, smaller(softmax_columns, inner - column));
      }
    }
  });
}

template <bool logarithm>
void softmax(const Tensor& x, const ReduceShape& shape, const Tensor& y) {
  visit_wide("softmax_forward", x.dtype(), [&]<class T>(Type<T>) {
    const T* from = pointer<T>(x);
    T* to = pointer<T>(y);
    const int64_t n = shape.n, inner = shape.inner;
    for_each_row_or_tile(
        shape, [=](int64_t offset) { softmax_row<logarithm>(from + offset, n, to + offset); },
        [=](int64_t offset, int64_t columns) {
          softmax_tile<logarithm>(from + offset, n, inner, columns, to + offset);
        });
  });
}

inline void softmax_forward(const Tensor& x, const ReduceShape& shape, bool logarithm, const Tensor& y) {
  if (has_16bit(x)) return softmax_forward_by_float(x, shape, logarithm, y);
  logarithm ? softmax<true>(x, shape, y) : softmax<false>(x, shape, y);
}

// What is summed over n, and the gradient made from that sum.
template <bool logarithm, class T>
[[gnu::always_inline]] inline T softmax_term(T grad, T y) {
  return logarithm ? grad : grad * y;
}
template <bool logarithm, class T>
[[gnu::always_inline]] inline T softmax_slope(T grad, T y, T sum) {
  if constexpr (logarithm) return grad - math::exp(y) * sum;
  return y * (grad - sum);
}

template <bool logarithm, bool accumulate, class T>
void softmax_backward_row(const T* grad, const T* y, int64_t n, T* out) {
  const T sum = sum_of<T>(n, [&](int64_t i) { return softmax_term<logarithm>(grad[i], y[i]); });
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    put<accumulate>(out, i, softmax_slope<logarithm>(grad[i], y[i], sum));
  }
}

template <bool logarithm, bool accumulate, class T>
void softmax_backward_tile(const T* grad, const T* y, int64_t n, int64_t inner, int64_t columns, T* out) {
  double sum[softmax_columns] = {};
  for (int64_t k = 0; k < n; ++k) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      sum[j] += static_cast<double>(softmax_term<logarithm>(grad[k * inner + j], y[k * inner + j]));
    }
  }
  for (int64_t k = 0; k < n; ++k) {
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      const int64_t i = k * inner + j;
      put<accumulate>(out, i, softmax_slope<logarithm>(grad[i], y[i], static_cast<T>(sum[j])));
    }
  }
}

template <bool logarithm, bool accumulate>
void softmax_gradient(const Tensor& grad, const Tensor& y, const ReduceShape& shape, const Tensor& out) {
  visit_wide("softmax_backward", y.dtype(), [&]<class T>(Type<T>) {
    const T* upstream = pointer<T>(grad);
    const T* result = pointer<T>(y);
    T* to = pointer<T>(out);
    const int64_t n = shape.n, inner = shape.inner;
    for_each_row_or_tile(
        shape,
        [=](int64_t offset) {
          softmax_backward_row<logarithm, accumulate>(upstream + offset, result + offset, n, to + offset);
        },
        [=](int64_t offset, int64_t columns) {
          softmax_backward_tile<logarithm, accumulate>(upstream + offset, result + offset, n, inner, columns,
                                                       to + offset);
        });
  });
}

inline void softmax_backward(const Tensor& grad, const Tensor& y, const ReduceShape& shape, bool logarithm,
                             const Tensor& out, bool accumulate) {
  if (has_16bit(y)) return softmax_backward_by_float(grad, y, shape, logarithm, out, accumulate);
  if (logarithm) {
    accumulate ? softmax_gradient<true, true>(grad, y, shape, out) : softmax_gradient<true, false>(grad, y, shape, out);
  } else {
    accumulate ? softmax_gradient<false, true>(grad, y, shape, out)
               : softmax_gradient<false, false>(grad, y, shape, out);
  }
}

inline void install_softmax() {
  kernel::softmax_forward.set(DeviceType::cpu, softmax_forward);
  kernel::softmax_backward.set(DeviceType::cpu, softmax_backward);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
