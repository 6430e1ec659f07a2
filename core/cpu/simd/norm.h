// Batch normalisation with its activation and addition, and sums per channel, in any layout.
//
// Statistics are exact to float32: a chunk of rows is summed in float (two passes: mean, then squared deviations), and
// chunks are merged in double by the formula of Chan, Golub & LeVeque ("Updating formulae and a pairwise algorithm for
// computing sample variances", 1979). The batch is read once for the statistics, once to normalise.
#pragma once

#include "core/cpu/simd/channels.h"
#include "core/kernels/conv.h"
#include "core/kernels/norm.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

// The type of statistics and parameters.
template <class T>
using Parameter = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Count, mean and summed squared deviations of some values.
struct Moments {
  double count, mean, deviations;

  void merge(double other_count, double other_mean, double other_deviations) {
    const double total = count + other_count;
    if (total == 0) return;
    const double delta = other_mean - mean;
    mean += delta * (other_count / total);
    deviations += other_deviations + delta * delta * (count * other_count / total);
    count = total;
  }
};

template <class T, class Fixed>
void chunk_moments(Fixed, const T* x, const Chunk& chunk, Moments* moments) {
  using C = Compute<T>;
  const int64_t lanes = Fixed::of(chunk.lanes);
  const T* const first = x + chunk.offset;
  C sum[most_lanes] = {}, squares[most_lanes] = {}, mean[most_lanes] = {};
  for (int64_t row = 0; row < chunk.rows; ++row) {
#pragma omp simd
    for (int64_t j = 0; j < lanes; ++j) sum[j] += load(first, row * chunk.stride + j);
  }
  for (int64_t j = 0; j < lanes; ++j) mean[j] = sum[j] / static_cast<C>(chunk.rows);
  for (int64_t row = 0; row < chunk.rows; ++row) {
#pragma omp simd
    for (int64_t j = 0; j < lanes; ++j) {
      const C deviation = load(first, row * chunk.stride + j) - mean[j];
      squares[j] += deviation * deviation;
    }
  }
  for (int64_t j = 0; j < lanes; ++j) moments[j].merge(static_cast<double>(chunk.rows), mean[j], squares[j]);
}

// moments[c] of every channel, which start cleared.
template <class T>
void channel_moments(const Channels& view, const T* x, Moments* moments) {
  const Reduction split(view);
  const Scratch<Moments> memory(split.tiles * split.parts * most_lanes);
  Moments* const partial = memory.data();
  parallel(split.tiles * split.parts, view.numel(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      visit_chunks(view, split, task / split.parts, task % split.parts, [&](const Chunk& chunk) {
        with_lanes(chunk.lanes, [&](auto fixed) { chunk_moments(fixed, x, chunk, partial + task * most_lanes); });
      });
    }
  });
  for (int64_t tile = 0; tile < split.tiles; ++tile) {
    const int64_t block = tile / split.tiles_per_block, lane = tile % split.tiles_per_block * most_lanes;
    for (int64_t part = 0; part < split.parts; ++part) {
      const Moments* const from = partial + (tile * split.parts + part) * most_lanes;
      for (int64_t j = 0; j < most_lanes; ++j) {
        if (from[j].count == 0) continue;
        const int64_t channel = block * view.width + (view.width == 1 ? 0 : lane + j);
        moments[channel].merge(from[j].count, from[j].mean, from[j].deviations);
      }
    }
  }
}

// out = max(lowest, (x - mean) * scale + bias + add) for rows of `width` channels.
template <bool has_add, class T, class C, class Fixed>
void normalize_rows(Fixed, const T* x, const T* add, T* out, int64_t rows, int64_t width, const C* mean, const C* scale,
                    const C* bias, C lowest) {
  const int64_t lanes = Fixed::of(width);
  const auto value = [&](int64_t i, C m, C s, C b) __attribute__((always_inline)) {
    C result = (load(x, i) - m) * s + b;
    if constexpr (has_add) result += load(add, i);
    return result < lowest ? lowest : result;  // NaN stays NaN
  };
  if constexpr (Fixed::of(0) == 1) {
    const C m = mean[0], s = scale[0], b = bias[0];
#pragma omp simd
    for (int64_t i = 0; i < rows; ++i) store(out, i, value(i, m, s, b));
  } else {
    for (int64_t row = 0; row < rows; ++row) {
#pragma omp simd
      for (int64_t j = 0; j < lanes; ++j)
        store(out, row * lanes + j, value(row * lanes + j, mean[j], scale[j], bias[j]));
    }
  }
}

template <class T>
void normalize(const Tensor& x, const Parameter<T>* mean, const Parameter<T>* inv_std, const Tensor& weight,
               const Tensor& bias, const Tensor& add, Activation activation, const Tensor& out) {
  using C = Compute<T>;
  const Channels view = channels_of(x);
  const Scratch<C> memory(view.count());
  C* const scale = memory.data();
  const Parameter<T>* const weights = pointer<Parameter<T>>(weight);
  for (int64_t c = 0; c < view.count(); ++c) scale[c] = weights[c] * inv_std[c];
  const T* const from = pointer<T>(x);
  const T* const addend = add.defined() ? pointer<T>(add) : nullptr;
  const C* const shift = pointer<C>(bias);
  T* const to = pointer<T>(out);
  const C lowest = activation == Activation::relu ? C(0) : -static_cast<C>(__builtin_huge_val());
  for_row_runs(view, [&](int64_t offset, int64_t rows, int64_t channel) {
    with_lanes(view.width, [&](auto fixed) {
      if (addend != nullptr) {
        normalize_rows<true>(fixed, from + offset, addend + offset, to + offset, rows, view.width, mean + channel,
                             scale + channel, shift + channel, lowest);
      } else {
        normalize_rows<false>(fixed, from + offset, addend, to + offset, rows, view.width, mean + channel,
                              scale + channel, shift + channel, lowest);
      }
    });
  });
}

inline void batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                             Activation activation, double eps, const kernel::RunningStatistics& running,
                             const Tensor& mean, const Tensor& inv_std, const Tensor& out) {
  visit_floating("batch_norm", x.dtype(), [&]<class T>(Type<T>) {
    using P = Parameter<T>;
    const Channels view = channels_of(x);
    const Scratch<Moments> memory(view.count());
    Moments* const moments = memory.data();
    channel_moments(view, pointer<T>(x), moments);
    P *const means = pointer<P>(mean), *const deviations = pointer<P>(inv_std);
    for (int64_t c = 0; c < view.count(); ++c) {
      const Moments& m = moments[c];
      means[c] = static_cast<P>(m.mean);
      deviations[c] = static_cast<P>(1.0 / math::sqrt(m.deviations / m.count + eps));
    }
    if (running.batches.defined()) ++*pointer<int64_t>(running.batches);
    if (running.mean.defined()) {
      P *const running_means = pointer<P>(running.mean), *const running_vars = pointer<P>(running.var);
      const double momentum = running.momentum;
      for (int64_t c = 0; c < view.count(); ++c) {
        const Moments& m = moments[c];
        running_means[c] = static_cast<P>((1 - momentum) * running_means[c] + momentum * m.mean);
        running_vars[c] = static_cast<P>((1 - momentum) * running_vars[c] + momentum * (m.deviations / (m.count - 1)));
      }
    }
    normalize<T>(x, means, deviations, weight, bias, add, activation, out);
  });
}

inline void batch_norm_infer(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                             Activation activation, double eps, const Tensor& running_mean, const Tensor& running_var,
                             const Tensor& out) {
  if (out.numel() == 0) return;
  visit_floating("batch_norm", x.dtype(), [&]<class T>(Type<T>) {
    using P = Parameter<T>;
    const int64_t channels = x.shape()[1];
    const Scratch<P> memory(channels);
    P* const inv_std = memory.data();
    const P* const variances = pointer<P>(running_var);
    for (int64_t c = 0; c < channels; ++c) {
      inv_std[c] = static_cast<P>(1.0 / math::sqrt(static_cast<double>(variances[c]) + eps));
    }
    normalize<T>(x, pointer<P>(running_mean), inv_std, weight, bias, add, activation, out);
  });
}

// The upstream gradient behind the activation; y is read when `masked` only.
template <bool masked, class T>
[[gnu::always_inline]] inline Compute<T> gradient(const T* grad, const T* y, int64_t i) {
  const Compute<T> g = load(grad, i);
  if constexpr (!masked) return g;
  return load(y, i) > Compute<T>(0) ? g : Compute<T>(0);
}

// Adds g and g (x - mean) of a chunk to sums[0] and sums[1]; in a plain one all lanes are of one channel.
template <bool masked, class T, class Fixed>
void add_gradients(Fixed, const Chunk& chunk, const T* grad, const T* x, const T* y, const Parameter<T>* means,
                   bool one_channel, Compute<T> (&sums)[2][most_lanes]) {
  using C = Compute<T>;
  const int64_t lanes = Fixed::of(chunk.lanes);
  C mean[most_lanes];
  for (int64_t j = 0; j < lanes; ++j) mean[j] = means[one_channel ? 0 : j];
  for (int64_t row = 0; row < chunk.rows; ++row) {
    const int64_t first = chunk.offset + row * chunk.stride;
#pragma omp simd
    for (int64_t j = 0; j < lanes; ++j) {
      const C value = gradient<masked>(grad, y, first + j);
      sums[0][j] += value;
      sums[1][j] += value * (load(x, first + j) - mean[j]);
    }
  }
}

// Per channel what the input's gradient is made of: factor * (g - constant - (x - mean) * slope).
template <class C>
struct InputGradient {
  const C *mean, *factor, *constant, *slope;
};

template <bool masked, bool accumulate, class T, class Fixed>
void input_gradient_rows(Fixed, const T* grad, const T* x, const T* y, T* out, int64_t rows, int64_t width,
                         InputGradient<Compute<T>> k, int64_t channel) {
  using C = Compute<T>;
  const int64_t lanes = Fixed::of(width);
  const C *const mean = k.mean + channel, *const factor = k.factor + channel;
  const C *const constant = k.constant + channel, *const slope = k.slope + channel;
  if constexpr (Fixed::of(0) == 1) {
    const C m = mean[0], f = factor[0], c = constant[0], s = slope[0];
#pragma omp simd
    for (int64_t i = 0; i < rows; ++i) {
      put<accumulate>(out, i, f * (gradient<masked>(grad, y, i) - c - (load(x, i) - m) * s));
    }
  } else {
    for (int64_t row = 0; row < rows; ++row) {
#pragma omp simd
      for (int64_t j = 0; j < lanes; ++j) {
        const int64_t i = row * lanes + j;
        put<accumulate>(out, i,
                        factor[j] * (gradient<masked>(grad, y, i) - constant[j] - (load(x, i) - mean[j]) * slope[j]));
      }
    }
  }
}

template <bool masked, class T>
void batch_norm_backward_of(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& weight,
                            const Tensor& mean, const Tensor& inv_std, bool training,
                            const kernel::BatchNormGradients& out) {
  using C = Compute<T>;
  using P = Parameter<T>;
  const Channels view = channels_of(x);
  const int64_t channels = view.count();
  const T *const g = pointer<T>(grad), *const xs = pointer<T>(x), *const ys = masked ? pointer<T>(y) : nullptr;
  const P *const means = pointer<P>(mean), *const deviations = pointer<P>(inv_std);

  // Sums of g and g (x - mean).
  const Scratch<double> sum_memory(channels * 2);
  double* const sums = sum_memory.data();
  if (out.weight.defined() || out.bias.defined() || (out.input.defined() && training)) {
    sum_channels<C, 2>(view, sums, [&](auto fixed, const Chunk& chunk, int64_t channel, auto& to) {
      add_gradients<masked>(fixed, chunk, g, xs, ys, means + channel, view.width == 1, to);
    });
  }
  const auto write = [&](const Tensor& to, bool accumulate, auto&& value) {
    if (!to.defined()) return;
    P* const values = pointer<P>(to);
    for (int64_t c = 0; c < channels; ++c) values[c] = static_cast<P>((accumulate ? values[c] : P(0)) + value(c));
  };
  write(out.weight, out.accumulate_weight, [&](int64_t c) { return sums[2 * c + 1] * deviations[c]; });
  write(out.bias, out.accumulate_bias, [&](int64_t c) { return sums[2 * c]; });

  if (!out.input.defined() && !out.add.defined()) return;
  const Scratch<C> memory(3 * channels);
  C *const factor = memory.data(), *const constant = factor + channels, *const slope = constant + channels;
  const P* const weights = pointer<P>(weight);
  const double count = static_cast<double>(view.rows());
  for (int64_t c = 0; c < channels; ++c) {
    const double deviation = deviations[c];
    factor[c] = weights[c] * deviations[c];
    constant[c] = static_cast<C>(training ? sums[2 * c] / count : 0.0);
    slope[c] = static_cast<C>(training ? sums[2 * c + 1] * deviation * deviation / count : 0.0);
  }
  const InputGradient<C> k{means, factor, constant, slope};
  T* const to = out.input.defined() ? pointer<T>(out.input) : nullptr;
  T* const add = out.add.defined() ? pointer<T>(out.add) : nullptr;
  for_row_runs(view, [&](int64_t offset, int64_t rows, int64_t channel) {
    const T* const y_run = masked ? ys + offset : nullptr;
    if (add != nullptr) {
#pragma omp simd
      for (int64_t i = 0; i < rows * view.width; ++i) store(add + offset, i, gradient<masked>(g + offset, y_run, i));
    }
    if (to == nullptr) return;
    with_lanes(view.width, [&](auto fixed) {
      if (out.accumulate_input) {
        input_gradient_rows<masked, true>(fixed, g + offset, xs + offset, y_run, to + offset, rows, view.width, k,
                                          channel);
      } else {
        input_gradient_rows<masked, false>(fixed, g + offset, xs + offset, y_run, to + offset, rows, view.width, k,
                                           channel);
      }
    });
  });
}

inline void batch_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& weight,
                                const Tensor& /*bias*/, const Tensor& mean, const Tensor& inv_std,
                                Activation activation, bool training, const kernel::BatchNormGradients& out) {
  visit_floating("batch_norm", x.dtype(), [&]<class T>(Type<T>) {
    if (activation == Activation::relu) {
      batch_norm_backward_of<true, T>(grad, x, y, weight, mean, inv_std, training, out);
    } else {
      batch_norm_backward_of<false, T>(grad, x, y, weight, mean, inv_std, training, out);
    }
  });
}

inline void channel_sum(const Tensor& x, const Tensor& out, bool accumulate) {
  visit_floating("channel_sum", x.dtype(), [&]<class T>(Type<T>) {
    using C = Compute<T>;
    const Channels view = channels_of(x);
    const Scratch<double> memory(view.count());
    double* const sums = memory.data();
    const T* const from = pointer<T>(x);
    sum_channels<C, 1>(view, sums, [&](auto fixed, const Chunk& chunk, int64_t, auto& to) {
      const int64_t lanes = fixed.of(chunk.lanes);
      for (int64_t row = 0; row < chunk.rows; ++row) {
#pragma omp simd
        for (int64_t j = 0; j < lanes; ++j) to[0][j] += load(from, chunk.offset + row * chunk.stride + j);
      }
    });
    T* const to = pointer<T>(out);
    for (int64_t c = 0; c < view.count(); ++c) {
      store(to, c, static_cast<C>(sums[c] + (accumulate ? static_cast<double>(load(to, c)) : 0.0)));
    }
  });
}

inline void install_norm() {
  kernel::batch_norm_train.set(DeviceType::cpu, batch_norm_train);
  kernel::batch_norm_infer.set(DeviceType::cpu, batch_norm_infer);
  kernel::batch_norm_backward.set(DeviceType::cpu, batch_norm_backward);
  kernel::channel_sum.set(DeviceType::cpu, channel_sum);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
