// Interpolation in any layout: where a pixel looks is found once for each row and each column; the inner loop walks
// over neighbouring channels.
//
// The backward pass gathers: an input row adds up the rows of outputs that looked at it, which lie side by side.
#pragma once

#include "core/cpu/simd/channels.h"
#include "core/kernels/interpolate.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

// The taps of one dimension, and for each input pixel the outputs [begin, end) that look at it.
struct SampledTaps {
  struct Range {
    int64_t begin, end;
  };
  explicit SampledTaps(const kernel::Sampling& s) : taps(s.output), ranges(s.input) {
    for (int64_t i = 0; i < s.output; ++i) {
      const kernel::Tap tap = s.at(i);
      taps.data()[i] = tap;
      for (const int64_t pixel : {tap.low, tap.high}) {
        Range& range = ranges.data()[pixel];
        if (range.end == 0) range.begin = i;
        range.end = i + 1;
      }
    }
  }
  const kernel::Tap& operator[](int64_t i) const { return taps.data()[i]; }
  const Range& looking_at(int64_t pixel) const { return ranges.data()[pixel]; }
  // How much of output i comes from an input pixel that it looks at.
  double share(int64_t i, int64_t pixel) const {
    const kernel::Tap& tap = taps.data()[i];
    return (tap.low == pixel ? 1 - tap.weight : 0) + (tap.high == pixel ? tap.weight : 0);
  }

  Scratch<kernel::Tap> taps;
  Scratch<Range> ranges;
};

// Channels that lie side by side before the next pixel.
inline int64_t block_width(const Tensor& images) {
  switch (detail::layout_of(images)) {
    case detail::Layout::channels_last: return images.shape()[1];
    case detail::Layout::blocked8: return 8;
    case detail::Layout::blocked16: return 16;
    default: return 1;
  }
}

template <class T>
void interpolate_row(const kernel::InterpolateProblem& p, const kernel::Tap& row, const SampledTaps& columns,
                     const T* x, T* out, int64_t width) {
  using C = Compute<T>;
  const T* const upper = x + row.low * p.input[3] * width;
  const T* const lower = x + row.high * p.input[3] * width;
  const C below = static_cast<C>(row.weight), above = C(1) - below;
  for (int64_t column = 0; column < p.output[3]; ++column) {
    const kernel::Tap& tap = columns[column];
    const C right = static_cast<C>(tap.weight), left = C(1) - right;
    const int64_t a = tap.low * width, b = tap.high * width;
    T* const to = out + column * width;
    if (!p.columns.linear) {
      for (int64_t j = 0; j < width; ++j) assign(to[j], upper[a + j]);
      continue;
    }
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) {
      store(to, j,
            above * (left * load(upper, a + j) + right * load(upper, b + j)) +
                below * (left * load(lower, a + j) + right * load(lower, b + j)));
    }
  }
}

inline void interpolate_forward(const kernel::InterpolateProblem& p, const Tensor& x, const Tensor& out) {
  if (out.numel() == 0) return;
  const int64_t width = block_width(x);
  const SampledTaps rows(p.rows), columns(p.columns);
  visit_floating("interpolate", x.dtype(), [&]<class T>(Type<T>) {
    const T* const from = pointer<T>(x);
    T* const to = pointer<T>(out);
    const int64_t height = p.output[2];
    parallel(p.input[0] * (p.input[1] / width) * height, out.numel(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        interpolate_row(p, rows[i % height], columns, from + i / height * p.input[2] * p.input[3] * width,
                        to + i * p.output[3] * width, width);
    });
  });
}

[[gnu::always_inline]] inline int64_t thread_number() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

// One row of the input: the rows of outputs that look at it are added up, and this sum is handed out to the columns.
// `memory` holds one row of outputs and one of inputs.
template <bool accumulate, class T>
void interpolate_row_back(const kernel::InterpolateProblem& p, const SampledTaps& rows, const SampledTaps& columns,
                          const T* grad, T* grad_input, int64_t height, int64_t width, Compute<T>* memory) {
  using C = Compute<T>;
  const int64_t outputs = p.output[3] * width, inputs = p.input[3] * width;
  C* const sums = memory;
  C* const shares = memory + outputs;
  for (int64_t j = 0; j < outputs; ++j) sums[j] = C(0);
  for (int64_t j = 0; j < inputs; ++j) shares[j] = C(0);
  const auto& lookers = rows.looking_at(height);
  for (int64_t r = lookers.begin; r < lookers.end; ++r) {
    const C share = static_cast<C>(rows.share(r, height));
    const T* const from = grad + r * outputs;
#pragma omp simd
    for (int64_t j = 0; j < outputs; ++j) sums[j] += share * load(from, j);
  }
  for (int64_t column = 0; column < p.output[3]; ++column) {
    const kernel::Tap& tap = columns[column];
    const C right = static_cast<C>(tap.weight), left = C(1) - right;
    const C* const from = sums + column * width;
    C* const low = shares + tap.low * width;
    C* const high = shares + tap.high * width;
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) low[j] += left * from[j];
    if (!p.columns.linear) continue;
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) high[j] += right * from[j];
  }
#pragma omp simd
  for (int64_t j = 0; j < inputs; ++j) put<accumulate>(grad_input, j, shares[j]);
}

inline void interpolate_backward(const kernel::InterpolateProblem& p, const Tensor& grad_output,
                                 const Tensor& grad_input, bool accumulate) {
  if (grad_input.numel() == 0) return;
  const int64_t width = block_width(grad_input);
  const SampledTaps rows(p.rows), columns(p.columns);
  visit_floating("interpolate", grad_input.dtype(), [&]<class T>(Type<T>) {
    const T* const from = pointer<T>(grad_output);
    T* const to = pointer<T>(grad_input);
    const int64_t height = p.input[2], each = ceil_div((p.output[3] + p.input[3]) * width, 64) * 64;
    const int64_t threads = thread_count();
    const Scratch<Compute<T>> memory(each * threads);
    parallel(p.input[0] * (p.input[1] / width) * height, grad_output.numel(), 1, [&](int64_t begin, int64_t end) {
      Compute<T>* const own = memory.data() + each * smaller(thread_number(), threads - 1);
      for (int64_t i = begin; i < end; ++i) {
        const T* const plane = from + i / height * p.output[2] * p.output[3] * width;
        T* const row = to + i * p.input[3] * width;
        if (accumulate) {
          interpolate_row_back<true>(p, rows, columns, plane, row, i % height, width, own);
        } else {
          interpolate_row_back<false>(p, rows, columns, plane, row, i % height, width, own);
        }
      }
    });
  });
}

inline void install_interpolate() {
  kernel::interpolate_forward.set(DeviceType::cpu, interpolate_forward);
  kernel::interpolate_backward.set(DeviceType::cpu, interpolate_backward);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
