// The windows of pooling, and the largest of a window, for packs of channels.
#pragma once

#include <limits>

#include "core/kernels/pool.h"
#include "cuda/channels.cuh"

namespace dnn::cuda {

struct PoolWindows {
  Images input, output;
  int64_t height, width, out_height, out_width;
  int64_t kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w;
  bool count_padding, adaptive;

  // The part [begin, end) of an output's window that lies inside of the input, along one dimension.
  struct Range {
    int64_t begin, end;
  };
  __device__ Range inside(int64_t start, int64_t kernel, int64_t size) const {
    return {start < 0 ? 0 : start, start + kernel < size ? start + kernel : size};
  }
  __device__ Range bin(int64_t index, int64_t size, int64_t bins) const {
    return {index * size / bins, ((index + 1) * size + bins - 1) / bins};
  }
  // Where the window of an output begins, the border included.
  __device__ int64_t top(int64_t y) const { return adaptive ? y * height / out_height : y * stride_h - padding_h; }
  __device__ int64_t left(int64_t x) const { return adaptive ? x * width / out_width : x * stride_w - padding_w; }
  __device__ Range rows(int64_t y) const {
    return adaptive ? bin(y, height, out_height) : inside(top(y), kernel_h, height);
  }
  __device__ Range columns(int64_t x) const {
    return adaptive ? bin(x, width, out_width) : inside(left(x), kernel_w, width);
  }
  // The outputs [begin, end) whose windows contain the input at `position`, along one dimension.
  __device__ Range containing(int64_t position, int64_t kernel, int64_t stride, int64_t outputs) const {
    const int64_t first = position < kernel ? 0 : (position - kernel) / stride + 1, last = position / stride + 1;
    return {first, last < outputs ? last : outputs};
  }
  __device__ Range rows_containing(int64_t h) const {
    // An output has the pixel in its bin exactly when the pixel, as a bin of the outputs, has the output.
    return adaptive ? bin(h, out_height, height) : containing(h + padding_h, kernel_h, stride_h, out_height);
  }
  __device__ Range columns_containing(int64_t w) const {
    return adaptive ? bin(w, out_width, width) : containing(w + padding_w, kernel_w, stride_w, out_width);
  }
  // Image, row and column of a pixel, counted through all images; there are less than 2^31 of them.
  struct Place {
    int64_t n, y, x;
  };
  __device__ static Place place(int64_t pixel, int64_t height, int64_t width) {
    const auto number = static_cast<uint32_t>(pixel), columns = static_cast<uint32_t>(width);
    const uint32_t row = number / columns, rows = static_cast<uint32_t>(height);
    return {row / rows, row % rows, number % columns};
  }
  __device__ int64_t divisor(const Range& rows, const Range& columns) const {
    return count_padding ? kernel_h * kernel_w : (rows.end - rows.begin) * (columns.end - columns.begin);
  }
};

inline PoolWindows windows_of(const kernel::PoolProblem& p, detail::Layout layout) {
  const auto images = [layout](const Shape& s) { return Images{layout, s[0], s[1], s[2] * s[3]}; };
  return {images(p.input), images(p.output), p.input[2], p.input[3],  p.output[2], p.output[3],         p.kernel.h,
          p.kernel.w,      p.stride.h,       p.stride.w, p.padding.h, p.padding.w, p.count_include_pad, p.adaptive};
}

// The numbers in their windows of the winners of a pack of channels.
template <class T>
struct alignas(Pack<T>::width) PackWinners {
  uint8_t values[Pack<T>::width];
};

// The largest values of a window so far, and where they were: NaN wins, and of equals the first.
template <class T>
struct PackMaximum {
  static constexpr int width = Pack<T>::width;
  float values[width];
  int winners[width];

  __device__ explicit PackMaximum(int first) {
    unrolled<width>([&](int k) { values[k] = -std::numeric_limits<float>::infinity(), winners[k] = first; });
  }
  // `value(k)` of each channel.
  template <class Value>
  __device__ void offer(int number, const Value& value) {
    unrolled<width>([&](int k) {
      const float candidate = value(k);
      if (values[k] != values[k] || candidate <= values[k]) return;
      values[k] = candidate, winners[k] = number;
    });
  }
  __device__ Pack<T> pack() const {
    Pack<T> result;
    unrolled<width>([&](int k) { result.values[k] = static_cast<T>(values[k]); });
    return result;
  }
  __device__ PackWinners<T> numbers() const {
    PackWinners<T> result;
    unrolled<width>([&](int k) { result.values[k] = static_cast<uint8_t>(winners[k]); });
    return result;
  }
};

// A view of images as packs.
template <class T>
struct PackImages {
  Pack<T>* data;
  int64_t height, width, packs;
  __device__ int64_t index(int64_t n, int64_t h, int64_t w, int64_t pack) const {
    return ((n * height + h) * width + w) * packs + pack;
  }
};

// Adds the gradients of the windows that the pixel at `place` has won to those of a pack of channels.
template <class T>
__device__ inline void add_pooled_gradients(const PoolWindows& windows, const PackImages<T>& grad_output,
                                            const PackWinners<T>* winners, const PoolWindows::Place& place,
                                            int64_t pack, float (&sum)[Pack<T>::width]) {
  const auto rows = windows.rows_containing(place.y), columns = windows.columns_containing(place.x);
  for (int64_t y = rows.begin; y < rows.end; ++y) {
    for (int64_t x = columns.begin; x < columns.end; ++x) {
      const int64_t output = grad_output.index(place.n, y, x, pack);
      const auto mine = static_cast<int>((place.y - windows.top(y)) * windows.kernel_w + place.x - windows.left(x));
      const PackWinners<T> winner = winners[output];
      const Pack<T> gradient = grad_output.data[output];
      unrolled<Pack<T>::width>([&](int k) {
        if (winner.values[k] == mine) sum[k] += static_cast<float>(gradient.values[k]);
      });
    }
  }
}

// The slots for images that `fit`.
namespace packed {

template <class T>
PackImages<T> images(const Tensor& t) {
  const Shape& shape = t.shape();
  return {reinterpret_cast<Pack<T>*>(elements<T>(t)), shape[2], shape[3], shape[1] / Pack<T>::width};
}

bool fit(const kernel::PoolProblem& problem, std::initializer_list<Tensor> images, const Tensor& winners);

void max_pool2d_forward(const kernel::PoolProblem& problem, const Tensor& x, const Tensor& out, const Tensor& winners);
void max_pool2d_backward(const kernel::PoolProblem& problem, const Tensor& grad_output, const Tensor& winners,
                         const Tensor& grad_input, bool accumulate);
void avg_pool2d_forward(const kernel::PoolProblem& problem, const Tensor& x, const Tensor& out);
void avg_pool2d_backward(const kernel::PoolProblem& problem, const Tensor& grad_output, const Tensor& grad_input,
                         bool accumulate);

}  // namespace packed

}  // namespace dnn::cuda
