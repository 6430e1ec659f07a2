// Pooling in any layout: the outer loops walk over windows, the inner one over up to 16 neighbouring channels.
//
// The plain layout has one channel in the inner loop and uses the same code. Backward passes add to the input's
// gradient window by window, all windows of a channel in one thread and in order.
#pragma once

#include "core/cpu/simd/channels.h"
#include "core/kernels/pool.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

// Where the pixels of `lanes` channels of one image lie: pixel p at offset + p * width.
struct Plane {
  int64_t input, output, width, lanes;
};

// All planes of a pooling problem.
struct Planes {
  Planes(const kernel::PoolProblem& p, detail::Layout layout)
      : width(layout == detail::Layout::channels_last ? p.input[1]
              : layout == detail::Layout::blocked16   ? 16
              : layout == detail::Layout::blocked8    ? 8
                                                      : 1),
        tiles(ceil_div(width, most_lanes)),
        count(p.input[0] * (p.input[1] / width) * tiles),
        input_pixels(p.input[2] * p.input[3]),
        output_pixels(p.output[2] * p.output[3]) {}

  Plane operator[](int64_t i) const {
    const int64_t block = i / tiles, lane = i % tiles * most_lanes;
    return {block * input_pixels * width + lane, block * output_pixels * width + lane, width,
            smaller(most_lanes, width - lane)};
  }
  int64_t width, tiles, count, input_pixels, output_pixels;
};

template <int size>
using WindowSize = std::integral_constant<int, size>;

// The part of a window that lies within the image: rows and columns of the input, and of the window.
struct Window {
  Window(const kernel::PoolProblem& p, int64_t row, int64_t column)
      : top(p.adaptive ? row * p.input[2] / p.output[2] : row * p.stride.h - p.padding.h),
        left(p.adaptive ? column * p.input[3] / p.output[3] : column * p.stride.w - p.padding.w),
        r_begin(top < 0 ? -top : 0),
        r_end(p.adaptive ? ceil_div((row + 1) * p.input[2], p.output[2]) - top : smaller(p.kernel.h, p.input[2] - top)),
        s_begin(left < 0 ? -left : 0),
        s_end(p.adaptive ? ceil_div((column + 1) * p.input[3], p.output[3]) - left
                         : smaller(p.kernel.w, p.input[3] - left)) {}
  // A square one of that size that lies within the image.
  template <int size>
  Window(WindowSize<size>, const kernel::PoolProblem& p, int64_t row, int64_t column)
      : top(row * p.stride.h), left(column * p.stride.w), r_begin(0), r_end(size), s_begin(0), s_end(size) {}
  int64_t top, left;
  int64_t r_begin, r_end, s_begin, s_end;
};

template <int size>
[[gnu::always_inline]] inline Window window_at(WindowSize<size> whole, const kernel::PoolProblem& p, int64_t row,
                                               int64_t column) {
  if constexpr (size == 0) return Window(p, row, column);
  return Window(whole, p, row, column);
}

// Calls body(size) with the size of the windows when all are alike, of a common size and within the image, else with 0.
template <class Body>
[[gnu::always_inline]] inline void with_size(const kernel::PoolProblem& p, const Body& body) {
  const auto are_whole = [&](int64_t size) {
    return !p.adaptive && p.kernel == Size2(size) && p.padding == Size2(0) &&
           (p.output[2] - 1) * p.stride.h + size <= p.input[2] && (p.output[3] - 1) * p.stride.w + size <= p.input[3];
  };
  if (are_whole(2)) return body(WindowSize<2>{});
  if (are_whole(3)) return body(WindowSize<3>{});
  body(WindowSize<0>{});
}

// Calls body(lanes type, window, pixel of the output) along an output row. Where all channels fit into one tile but not
// into a fixed number of lanes, the lanes are rounded up for the windows whose vectors end within the plane, and in the
// output within the row: what lanes beyond the channels write is written over by the next windows.
template <class Fixed, class Size, class Body>
[[gnu::always_inline]] inline void for_windows(Fixed fixed, Size size, const kernel::PoolProblem& p,
                                               const Planes& planes, const Plane& plane, int64_t row,
                                               const Body& body) {
  for (int64_t column = 0; column < p.output[3]; ++column) {
    const Window window = window_at(size, p, row, column);
    const int64_t pixel = row * p.output[3] + column;
    if constexpr (Fixed::of(0) == 0) {
      const int64_t lanes = plane.lanes <= 8 ? 8 : 16, beyond = ceil_div(lanes, plane.lanes) - 1;
      const int64_t last = (window.top + window.r_end - 1) * p.input[3] + window.left + window.s_end - 1;
      if (planes.tiles == 1 && last + beyond < planes.input_pixels && column + beyond < p.output[3]) {
        lanes == 8 ? body(Lanes<8>{}, window, pixel) : body(Lanes<16>{}, window, pixel);
        continue;
      }
    }
    body(fixed, window, pixel);
  }
}

// The largest elements of a window and their positions in it, for one vector of channels.
struct Largest {
  Vector best;
  VectorMask winner;
};

[[gnu::always_inline]] inline Largest largest_of(const kernel::PoolProblem& p, const float* corner, int64_t width,
                                                 const Window& window) {
  const VectorMask none = {};
  Largest result{load_vector(corner + (window.r_begin * p.input[3] + window.s_begin) * width),
                 none + static_cast<int32_t>(window.r_begin * p.kernel.w + window.s_begin)};
  for (int64_t r = window.r_begin; r < window.r_end; ++r) {
    for (int64_t s = window.s_begin; s < window.s_end; ++s) {
      const Vector value = load_vector(corner + (r * p.input[3] + s) * width), best = result.best;
      // Larger, or the first NaN.
      const VectorMask wins = (value > best) | ((value != value) & (best == best));
      result.best = wins ? value : best;
      result.winner = wins ? none + static_cast<int32_t>(r * p.kernel.w + s) : result.winner;
    }
  }
  return result;
}

template <class Winner>
[[gnu::always_inline]] inline void store_winners(Winner* to, const VectorMask& winner) {
  typedef Winner Positions __attribute__((vector_size(vector_lanes * sizeof(Winner))));
  const Positions positions = __builtin_convertvector(winner, Positions);
  __builtin_memcpy(to, &positions, sizeof positions);
}

template <class T, class Winner, class Fixed>
[[gnu::always_inline]] inline void max_pool_window(Fixed, const kernel::PoolProblem& p, const T* x, T* out,
                                                   Winner* winners, const Plane& plane, const Window& window,
                                                   int64_t pixel) {
  using C = Compute<T>;
  const int64_t lanes = Fixed::of(plane.lanes);
  C best[most_lanes];
  int32_t winner[most_lanes];
  const int64_t first = window.r_begin * p.kernel.w + window.s_begin;
  const T* const corner = x + plane.input + (window.top * p.input[3] + window.left) * plane.width;
  const int64_t to = plane.output + pixel * plane.width;
  if constexpr (std::is_same_v<T, float> && Fixed::of(0) >= vector_lanes) {
    for (int64_t lane = 0; lane < lanes; lane += vector_lanes) {
      const Largest largest = largest_of(p, corner + lane, plane.width, window);
      store_vector(out + to + lane, largest.best);
      if (winners != nullptr) store_winners(winners + to + lane, largest.winner);
    }
    return;
  }
  for (int64_t j = 0; j < lanes; ++j) {
    best[j] = load(corner, (window.r_begin * p.input[3] + window.s_begin) * plane.width + j);
    winner[j] = static_cast<int32_t>(first);
  }
  for (int64_t r = window.r_begin; r < window.r_end; ++r) {
    for (int64_t s = window.s_begin; s < window.s_end; ++s) {
      const T* const from = corner + (r * p.input[3] + s) * plane.width;
      const int32_t position = static_cast<int32_t>(r * p.kernel.w + s);
#pragma omp simd
      for (int64_t j = 0; j < lanes; ++j) {
        const C value = load(from, j);
        // Larger, or the first NaN.
        const bool wins = (value > best[j]) | ((value != value) & (best[j] == best[j]));
        best[j] = wins ? value : best[j];
        winner[j] = wins ? position : winner[j];
      }
    }
  }
  for (int64_t j = 0; j < lanes; ++j) store(out, to + j, best[j]);
  if (winners == nullptr) return;
  for (int64_t j = 0; j < lanes; ++j) winners[to + j] = static_cast<Winner>(winner[j]);
}

// Calls body(lanes type, plane, output row) for every row of every plane, in parallel.
template <class Body>
[[gnu::always_inline]] inline void for_output_rows(const kernel::PoolProblem& p, const Planes& planes,
                                                   const Body& body) {
  const int64_t rows = p.output[2];
  const int64_t work = planes.count * planes.input_pixels * smaller(planes.width, most_lanes);
  parallel(planes.count * rows, work, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Plane plane = planes[i / rows];
      with_lanes(plane.lanes, [&](auto fixed) { body(fixed, plane, i % rows); });
    }
  });
}

// The same for backward passes: rows of one plane in order by one thread, after its input's gradient was cleared.
template <class T, class Body>
[[gnu::always_inline]] inline void for_planes(const kernel::PoolProblem& p, const Planes& planes, T* grad_input,
                                              bool accumulate, const Body& body) {
  const int64_t work = planes.count * planes.input_pixels * smaller(planes.width, most_lanes);
  parallel(planes.count, work, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Plane plane = planes[i];
      with_lanes(plane.lanes, [&](auto fixed) {
        const int64_t lanes = fixed.of(plane.lanes);
        if (lanes == plane.width && !accumulate) {
          for (int64_t j = 0; j < planes.input_pixels * lanes; ++j) grad_input[plane.input + j] = T(0);
        }
        for (int64_t pixel = 0; pixel < planes.input_pixels && lanes != plane.width && !accumulate; ++pixel) {
          for (int64_t j = 0; j < lanes; ++j) grad_input[plane.input + pixel * plane.width + j] = T(0);
        }
        for (int64_t row = 0; row < p.output[2]; ++row) body(fixed, plane, row);
      });
    }
  });
}

template <class Visit>
[[gnu::always_inline]] inline void visit_winners(const Tensor& winners, const Visit& visit) {
  if (winners.dtype() == DType::uint8) return visit(pointer<uint8_t>(winners));
  visit(pointer<int32_t>(winners));
}

inline void max_pool2d_forward(const kernel::PoolProblem& p, const Tensor& x, const Tensor& out,
                               const Tensor& winners) {
  if (out.numel() == 0) return;
  const Planes planes(p, detail::layout_of(x));
  visit_floating("max_pool2d", x.dtype(), [&]<class T>(Type<T>) {
    const auto run = [&]<class Winner>(Winner* positions) {
      const T* const from = pointer<T>(x);
      T* const to = pointer<T>(out);
      with_size(p, [&](auto size) {
        for_output_rows(p, planes, [&](auto fixed, const Plane& plane, int64_t row) {
          for_windows(fixed, size, p, planes, plane, row, [&](auto lanes, const Window& window, int64_t pixel) {
            max_pool_window(lanes, p, from, to, positions, plane, window, pixel);
          });
        });
      });
    };
    if (winners.defined()) return visit_winners(winners, run);
    run(static_cast<uint8_t*>(nullptr));
  });
}

// The gradient goes to the winner: every tap of the window takes it where the positions agree. Lanes beyond the
// channels add nothing.
template <class T, class Winner, class Fixed>
[[gnu::always_inline]] inline void max_pool_backward_window(Fixed, const kernel::PoolProblem& p, const T* grad,
                                                            const Winner* winners, T* grad_input, const Plane& plane,
                                                            const Window& window, int64_t pixel) {
  const int64_t lanes = Fixed::of(plane.lanes), channels = plane.lanes;
  const int64_t from = plane.output + pixel * plane.width;
  T* const corner = grad_input + plane.input + (window.top * p.input[3] + window.left) * plane.width;
  if constexpr (Fixed::of(0) == 1) {
    const int64_t winner = winners[from];
    corner[(winner / p.kernel.w * p.input[3] + winner % p.kernel.w) * plane.width] += grad[from];
    return;
  }
  if constexpr (std::is_same_v<T, float> && Fixed::of(0) >= vector_lanes) {
    for (int64_t lane = 0; lane < lanes; lane += vector_lanes) {
      VectorMask winner, position = {};
      for (int64_t j = 0; j < vector_lanes; ++j)
        winner[j] = lane + j < channels ? static_cast<int32_t>(winners[from + lane + j]) : -1;
      const Vector gradient = load_vector(grad + from + lane);
      for (int64_t r = window.r_begin; r < window.r_end; ++r) {
        for (int64_t s = window.s_begin; s < window.s_end; ++s) {
          float* const to = corner + (r * p.input[3] + s) * plane.width + lane;
          position = VectorMask{} + static_cast<int32_t>(r * p.kernel.w + s);
          const Vector zero = {};
          store_vector(to, load_vector(to) + (winner == position ? gradient : zero));
        }
      }
    }
    return;
  }
  int32_t winner[most_lanes];
  for (int64_t j = 0; j < lanes; ++j) winner[j] = j < channels ? static_cast<int32_t>(winners[from + j]) : -1;
  for (int64_t r = window.r_begin; r < window.r_end; ++r) {
    for (int64_t s = window.s_begin; s < window.s_end; ++s) {
      T* const to = corner + (r * p.input[3] + s) * plane.width;
      const int32_t position = static_cast<int32_t>(r * p.kernel.w + s);
#pragma omp simd
      for (int64_t j = 0; j < lanes; ++j) to[j] += winner[j] == position ? grad[from + j] : T(0);
    }
  }
}

inline void max_pool2d_backward(const kernel::PoolProblem& p, const Tensor& grad_output, const Tensor& winners,
                                const Tensor& grad_input, bool accumulate) {
  if (grad_input.numel() == 0) return;
  if (has_16bit(grad_input)) return max_pool2d_backward_by_float(p, grad_output, winners, grad_input, accumulate);
  const Planes planes(p, detail::layout_of(grad_input));
  visit_wide("max_pool2d", grad_input.dtype(), [&]<class T>(Type<T>) {
    visit_winners(winners, [&]<class Winner>(const Winner* positions) {
      const T* const from = pointer<T>(grad_output);
      T* const to = pointer<T>(grad_input);
      with_size(p, [&](auto size) {
        for_planes(p, planes, to, accumulate, [&](auto fixed, const Plane& plane, int64_t row) {
          for_windows(fixed, size, p, planes, plane, row, [&](auto lanes, const Window& window, int64_t pixel) {
            max_pool_backward_window(lanes, p, from, positions, to, plane, window, pixel);
          });
        });
      });
    });
  });
}

// What the sum of a window is divided by.
[[gnu::always_inline]] inline int64_t divisor(const kernel::PoolProblem& p, const Window& window) {
  if (p.count_include_pad) return p.kernel.h * p.kernel.w;
  return (window.r_end - window.r_begin) * (window.s_end - window.s_begin);
}

// Rows of the window are summed on their own, which halves the digits lost in large windows.
template <class T, class Fixed>
void avg_pool_row(Fixed, const kernel::PoolProblem& p, const T* x, T* out, const Plane& plane, int64_t row) {
  using C = Compute<T>;
  const int64_t lanes = Fixed::of(plane.lanes);
  for (int64_t column = 0; column < p.output[3]; ++column) {
    const Window window(p, row, column);
    const T* const corner = x + plane.input + (window.top * p.input[3] + window.left) * plane.width;
    C sum[most_lanes] = {};
    for (int64_t r = window.r_begin; r < window.r_end; ++r) {
      C row_sum[most_lanes] = {};
      for (int64_t s = window.s_begin; s < window.s_end; ++s) {
        const T* const from = corner + (r * p.input[3] + s) * plane.width;
#pragma omp simd
        for (int64_t j = 0; j < lanes; ++j) row_sum[j] += load(from, j);
      }
      for (int64_t j = 0; j < lanes; ++j) sum[j] += row_sum[j];
    }
    const C count = static_cast<C>(divisor(p, window));
    const int64_t to = plane.output + (row * p.output[3] + column) * plane.width;
    for (int64_t j = 0; j < lanes; ++j) store(out, to + j, sum[j] / count);
  }
}

inline void avg_pool2d_forward(const kernel::PoolProblem& p, const Tensor& x, const Tensor& out) {
  if (out.numel() == 0) return;
  const Planes planes(p, detail::layout_of(x));
  visit_floating("avg_pool2d", x.dtype(), [&]<class T>(Type<T>) {
    const T* const from = pointer<T>(x);
    T* const to = pointer<T>(out);
    for_output_rows(p, planes,
                    [&](auto fixed, const Plane& plane, int64_t row) { avg_pool_row(fixed, p, from, to, plane, row); });
  });
}

template <class T, class Fixed>
void avg_pool_backward_row(Fixed, const kernel::PoolProblem& p, const T* grad, T* grad_input, const Plane& plane,
                           int64_t row) {
  const int64_t lanes = Fixed::of(plane.lanes);
  for (int64_t column = 0; column < p.output[3]; ++column) {
    const Window window(p, row, column);
    const T count = static_cast<T>(divisor(p, window));
    const T* const from = grad + plane.output + (row * p.output[3] + column) * plane.width;
    T* const corner = grad_input + plane.input + (window.top * p.input[3] + window.left) * plane.width;
    T share[most_lanes];
    for (int64_t j = 0; j < lanes; ++j) share[j] = from[j] / count;
    for (int64_t r = window.r_begin; r < window.r_end; ++r) {
      for (int64_t s = window.s_begin; s < window.s_end; ++s) {
        T* const to = corner + (r * p.input[3] + s) * plane.width;
#pragma omp simd
        for (int64_t j = 0; j < lanes; ++j) to[j] += share[j];
      }
    }
  }
}

inline void avg_pool2d_backward(const kernel::PoolProblem& p, const Tensor& grad_output, const Tensor& grad_input,
                                bool accumulate) {
  if (grad_input.numel() == 0) return;
  if (has_16bit(grad_input)) return avg_pool2d_backward_by_float(p, grad_output, grad_input, accumulate);
  const Planes planes(p, detail::layout_of(grad_input));
  visit_wide("avg_pool2d", grad_input.dtype(), [&]<class T>(Type<T>) {
    const T* const from = pointer<T>(grad_output);
    T* const to = pointer<T>(grad_input);
    for_planes(p, planes, to, accumulate, [&](auto fixed, const Plane& plane, int64_t row) {
      avg_pool_backward_row(fixed, p, from, to, plane, row);
    });
  });
}

inline void install_pool() {
  kernel::max_pool2d_forward.set(DeviceType::cpu, max_pool2d_forward);
  kernel::max_pool2d_backward.set(DeviceType::cpu, max_pool2d_backward);
  kernel::avg_pool2d_forward.set(DeviceType::cpu, avg_pool2d_forward);
  kernel::avg_pool2d_backward.set(DeviceType::cpu, avg_pool2d_backward);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
