// Layer, group and instance normalisation: rows of neighbours, each normalised on its own.
//
// A row is read twice for its statistics (mean, then squared deviations, both from the first-level cache where it fits)
// and once more to be written. Sums run in float over chunks, which are merged in double. Where each element has its
// own parameters (features), their gradients are sums over rows; where `inner` pixels share them (channels), every row
// first gives a sum per channel, out of which both the gradient of the input and those of the parameters are made.
#pragma once

#include "core/cpu/simd/norm.h"
#include "core/cpu/simd/softmax.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

using kernel::RowNormProblem;

// Elements that are summed in the computing type.
inline constexpr int64_t row_chunk = 4096;

// The sum of term(i) for 0 <= i < n in double, of float chunks.
template <class C, class Term>
[[gnu::always_inline]] inline double long_sum(int64_t n, const Term& term) {
  double sum = 0;
  for (int64_t first = 0; first < n; first += row_chunk) {
    sum += static_cast<double>(sum_of<C>(smaller(row_chunk, n - first), [&](int64_t i) { return term(first + i); }));
  }
  return sum;
}

template <class T>
Moments row_moments(const T* x, int64_t n) {
  using C = Compute<T>;
  Moments moments{};
  for (int64_t first = 0; first < n; first += row_chunk) {
    const int64_t count = smaller(row_chunk, n - first);
    const T* const from = x + first;
    const C mean = sum_of<C>(count, [&](int64_t i) { return load(from, i); }) / static_cast<C>(count);
    const C squares = sum_of<C>(count, [&](int64_t i) {
      const C deviation = load(from, i) - mean;
      return deviation * deviation;
    });
    moments.merge(static_cast<double>(count), static_cast<double>(mean), static_cast<double>(squares));
  }
  return moments;
}

// out = (x - mean) * inv_std * weight + bias for one row, whose parameters begin at weight and bias (null: none).
template <class T, class P>
void normalise_row(const T* x, int64_t n, int64_t inner, P mean, P inv_std, const P* weight, const P* bias, T* out) {
  if (inner == 1 && weight != nullptr && bias != nullptr) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) store(out, i, (load(x, i) - mean) * (inv_std * weight[i]) + bias[i]);
    return;
  }
  const bool shared = weight == nullptr && bias == nullptr;
  const int64_t run = shared ? n : inner;
  for (int64_t c = 0; c < n / run; ++c) {
    const P scale = weight != nullptr ? inv_std * weight[c] : inv_std, shift = bias != nullptr ? bias[c] : P(0);
    const T* const from = x + c * run;
    T* const to = out + c * run;
#pragma omp simd
    for (int64_t i = 0; i < run; ++i) store(to, i, (load(from, i) - mean) * scale + shift);
  }
}

inline void row_norm_forward(const RowNormProblem& p, const Tensor& x, const Tensor& weight, const Tensor& bias,
                             double eps, const Tensor& mean, const Tensor& inv_std, const Tensor& out) {
  visit_floating("row_norm", x.dtype(), [&]<class T>(Type<T>) {
    using P = Parameter<T>;
    const T* const from = pointer<T>(x);
    T* const to = pointer<T>(out);
    const P* const weights = weight.defined() ? pointer<P>(weight) : nullptr;
    const P* const biases = bias.defined() ? pointer<P>(bias) : nullptr;
    P *const means = pointer<P>(mean), *const deviations = pointer<P>(inv_std);
    const int64_t per_row = p.n / p.inner;
    parallel(p.rows, p.rows * p.n, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const Moments m = row_moments(from + row * p.n, p.n);
        means[row] = static_cast<P>(m.mean);
        deviations[row] = static_cast<P>(1.0 / math::sqrt(m.deviations / m.count + eps));
        const int64_t first = row % p.groups * per_row;
        normalise_row(from + row * p.n, p.n, p.inner, means[row], deviations[row],
                      weights != nullptr ? weights + first : nullptr, biases != nullptr ? biases + first : nullptr,
                      to + row * p.n);
      }
    });
  });
}

// The gradient of one row: inv_std * (g w - constant - (x - mean) * slope), constant and slope from the sums of g w and
// of g w (x - mean) over the row.
template <bool accumulate, class T, class P>
void row_gradient(const T* grad, const T* x, int64_t n, int64_t inner, P mean, P inv_std, const P* weight, double sum,
                  double product, T* out) {
  const double deviation = inv_std, count = static_cast<double>(n);
  const P constant = static_cast<P>(sum / count), slope = static_cast<P>(product * deviation * deviation / count);
  if (inner == 1 && weight != nullptr) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      put<accumulate>(out, i, inv_std * (load(grad, i) * weight[i] - constant - (load(x, i) - mean) * slope));
    }
    return;
  }
  const int64_t run = weight == nullptr ? n : inner;
  for (int64_t c = 0; c < n / run; ++c) {
    const P w = weight != nullptr ? weight[c] : P(1);
    const T *const g = grad + c * run, *const from = x + c * run;
    T* const to = out + c * run;
#pragma omp simd
    for (int64_t i = 0; i < run; ++i) {
      put<accumulate>(to, i, inv_std * (load(g, i) * w - constant - (load(from, i) - mean) * slope));
    }
  }
}

template <class T, class P = Parameter<T>>
void row_gradient(bool accumulate, const T* grad, const T* x, int64_t n, int64_t inner, P mean, P inv_std,
                  const P* weight, double sum, double product, T* out) {
  if (accumulate) return row_gradient<true>(grad, x, n, inner, mean, inv_std, weight, sum, product, out);
  row_gradient<false>(grad, x, n, inner, mean, inv_std, weight, sum, product, out);
}

// The arrays of a backward pass.
template <class T>
struct RowNormArrays {
  const T *grad, *x;
  const Parameter<T>*weight, *mean, *inv_std;  // weight is null for none
  T* input;                                    // null: not wanted
  Parameter<T>*weight_gradient, *bias_gradient;
};

// Writes the gradients of parameters, the weight's before the bias's (they may be one tensor), from sums[parameter] =
// (of g, of g times normalised x).
template <class P>
void store_parameters(const double* sums, int64_t count, const kernel::RowNormGradients& out, P* weight, P* bias) {
  for (int64_t i = 0; i < count; ++i) {
    if (weight != nullptr) weight[i] = static_cast<P>((out.accumulate_weight ? weight[i] : P(0)) + sums[2 * i + 1]);
    if (bias != nullptr) bias[i] = static_cast<P>((out.accumulate_bias ? bias[i] : P(0)) + sums[2 * i]);
  }
}

// One row, one group, each element with its own parameters.
template <class T>
void features_backward(const RowNormProblem& p, const RowNormArrays<T>& a, const kernel::RowNormGradients& out) {
  using C = Compute<T>;
  using P = Parameter<T>;
  if (a.input != nullptr) {
    parallel(p.rows, p.rows * p.n, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T *const g = a.grad + row * p.n, *const x = a.x + row * p.n;
        const P mean = a.mean[row];
        const P* const w = a.weight;
        double sum, product;
        if (w != nullptr) {
          sum = long_sum<C>(p.n, [&](int64_t i) { return load(g, i) * w[i]; });
          product = long_sum<C>(p.n, [&](int64_t i) { return load(g, i) * w[i] * (load(x, i) - mean); });
        } else {
          sum = long_sum<C>(p.n, [&](int64_t i) { return load(g, i); });
          product = long_sum<C>(p.n, [&](int64_t i) { return load(g, i) * (load(x, i) - mean); });
        }
        row_gradient(out.accumulate_input, g, x, p.n, 1, mean, a.inv_std[row], w, sum, product, a.input + row * p.n);
      }
    });
  }
  if (a.weight_gradient == nullptr && a.bias_gradient == nullptr) return;
  // A task sums up to 256 rows of up to 64 columns, whatever the number of threads.
  constexpr int64_t most_columns = 64, most_rows = 256;
  const int64_t tiles = ceil_div(p.n, most_columns), parts = ceil_div(p.rows, most_rows);
  const Scratch<double> memory(parts * p.n * 2 + p.n * 2);
  double *const partial = memory.data(), *const sums = partial + parts * p.n * 2;
  parallel(tiles * parts, p.rows * p.n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / tiles, column = task % tiles * most_columns;
      const int64_t columns = smaller(most_columns, p.n - column);
      C sum[most_columns] = {}, product[most_columns] = {};
      for (int64_t row = part * most_rows; row < smaller((part + 1) * most_rows, p.rows); ++row) {
        const T *const g = a.grad + row * p.n + column, *const x = a.x + row * p.n + column;
        const P mean = a.mean[row], inv_std = a.inv_std[row];
#pragma omp simd
        for (int64_t j = 0; j < columns; ++j) {
          sum[j] += load(g, j);
          product[j] += load(g, j) * ((load(x, j) - mean) * inv_std);
        }
      }
      double* const to = partial + (part * p.n + column) * 2;
      for (int64_t j = 0; j < columns; ++j) to[2 * j] = sum[j], to[2 * j + 1] = product[j];
    }
  });
  for (int64_t part = 0; part < parts; ++part) {
    for (int64_t i = 0; i < p.n * 2; ++i) sums[i] += partial[part * p.n * 2 + i];
  }
  store_parameters(sums, p.n, out, a.weight_gradient, a.bias_gradient);
}

// `inner` pixels share their parameters.
template <class T>
void channels_backward(const RowNormProblem& p, const RowNormArrays<T>& a, const kernel::RowNormGradients& out) {
  using C = Compute<T>;
  using P = Parameter<T>;
  const int64_t per_row = p.n / p.inner, channels = per_row * p.groups;
  const Scratch<double> memory((p.rows * per_row + channels) * 2);
  double *const partial = memory.data(), *const sums = partial + p.rows * per_row * 2;
  parallel(p.rows, p.rows * p.n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const P mean = a.mean[row], inv_std = a.inv_std[row];
      const P* const w = a.weight != nullptr ? a.weight + row % p.groups * per_row : nullptr;
      double row_sum = 0, row_product = 0;
      for (int64_t c = 0; c < per_row; ++c) {
        const T *const g = a.grad + row * p.n + c * p.inner, *const x = a.x + row * p.n + c * p.inner;
        const double sum = long_sum<C>(p.inner, [&](int64_t i) { return load(g, i); });
        const double product = long_sum<C>(p.inner, [&](int64_t i) { return load(g, i) * (load(x, i) - mean); });
        double* const to = partial + (row * per_row + c) * 2;
        to[0] = sum, to[1] = product * inv_std;
        const double scale = w != nullptr ? w[c] : P(1);
        row_sum += scale * sum, row_product += scale * product;
      }
      if (a.input == nullptr) continue;
      row_gradient(out.accumulate_input, a.grad + row * p.n, a.x + row * p.n, p.n, p.inner, mean, inv_std, w, row_sum,
                   row_product, a.input + row * p.n);
    }
  });
  // A row of sums belongs to `per_row` channels; `groups` rows to all channels of an image.
  for (int64_t i = 0; i < p.rows * per_row * 2; ++i) sums[i % (channels * 2)] += partial[i];
  store_parameters(sums, channels, out, a.weight_gradient, a.bias_gradient);
}

inline void row_norm_backward(const RowNormProblem& p, const Tensor& grad, const Tensor& x, const Tensor& weight,
                              const Tensor& mean, const Tensor& inv_std, const kernel::RowNormGradients& out) {
  visit_floating("row_norm", x.dtype(), [&]<class T>(Type<T>) {
    using P = Parameter<T>;
    const RowNormArrays<T> arrays{pointer<T>(grad),
                                  pointer<T>(x),
                                  weight.defined() ? pointer<P>(weight) : nullptr,
                                  pointer<P>(mean),
                                  pointer<P>(inv_std),
                                  out.input.defined() ? pointer<T>(out.input) : nullptr,
                                  out.weight.defined() ? pointer<P>(out.weight) : nullptr,
                                  out.bias.defined() ? pointer<P>(out.bias) : nullptr};
    if (p.inner == 1 && p.groups == 1) {
      features_backward(p, arrays, out);
    } else {
      channels_backward(p, arrays, out);
    }
  });
}

inline void install_row_norm() {
  kernel::row_norm_forward.set(DeviceType::cpu, row_norm_forward);
  kernel::row_norm_backward.set(DeviceType::cpu, row_norm_backward);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
