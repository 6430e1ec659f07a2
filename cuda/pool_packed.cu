// Maximum and average pooling of images whose channels lie side by side, a pack of 16 bytes at a time (channels.cuh): a
// thread per pack of an output pixel forward, of an input pixel backward, where it visits the windows that contain it.
#include "core/storage.h"
#include "cuda/dispatch.h"
#include "cuda/kernels.h"
#include "cuda/pool.cuh"

namespace dnn::cuda {

template <class T>
__global__ void max_pool_forward_packed_kernel(ChannelGrid grid, PoolWindows windows, PackImages<T> x,
                                               PackImages<T> out, PackWinners<T>* winners) {
  const ChannelLane at(grid);
  for (int64_t i = 0; i < at.count; ++i) {
    const auto [n, y, column] = PoolWindows::place(at.row + i * at.step, out.height, out.width);
    const auto rows = windows.rows(y), columns = windows.columns(column);
    const int64_t top = windows.top(y), left = windows.left(column);
    const auto number = [&](int64_t h, int64_t w) { return static_cast<int>((h - top) * windows.kernel_w + w - left); };
    PackMaximum<T> best(number(rows.begin, columns.begin));
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const Pack<T> values = x.data[x.index(n, h, w, at.pack)];
        best.offer(number(h, w), [&](int k) { return static_cast<float>(values.values[k]); });
      }
    }
    const int64_t index = at.first + i * at.stride;
    out.data[index] = best.pack();
    if (winners != nullptr) winners[index] = best.numbers();
  }
}

template <class T>
__global__ void max_pool_backward_packed_kernel(ChannelGrid grid, PoolWindows windows, PackImages<T> grad_output,
                                                const PackWinners<T>* winners, PackImages<T> grad_input,
                                                bool accumulate) {
  constexpr int width = Pack<T>::width;
  const ChannelLane at(grid);
  for (int64_t i = 0; i < at.count; ++i) {
    const auto [n, h, w] = PoolWindows::place(at.row + i * at.step, grad_input.height, grad_input.width);
    const int64_t index = at.first + i * at.stride;
    Pack<T> result{};
    if (accumulate) result = grad_input.data[index];
    float sum[width];
    unrolled<width>([&](int k) { sum[k] = static_cast<float>(result.values[k]); });
    add_pooled_gradients(windows, grad_output, winners, {n, h, w}, at.pack, sum);
    unrolled<width>([&](int k) { result.values[k] = static_cast<T>(sum[k]); });
    grad_input.data[index] = result;
  }
}

template <class T>
__global__ void avg_pool_forward_packed_kernel(ChannelGrid grid, PoolWindows windows, PackImages<T> x,
                                               PackImages<T> out) {
  constexpr int width = Pack<T>::width;
  const ChannelLane at(grid);
  for (int64_t i = 0; i < at.count; ++i) {
    const auto [n, y, column] = PoolWindows::place(at.row + i * at.step, out.height, out.width);
    const auto rows = windows.rows(y), columns = windows.columns(column);
    float sum[width] = {};
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const Pack<T> values = x.data[x.index(n, h, w, at.pack)];
        unrolled<width>([&](int k) { sum[k] += static_cast<float>(values.values[k]); });
      }
    }
    const auto divisor = static_cast<float>(windows.divisor(rows, columns));
    Pack<T> result;
    unrolled<width>([&](int k) { result.values[k] = static_cast<T>(sum[k] / divisor); });
    out.data[at.first + i * at.stride] = result;
  }
}

template <class T>
__global__ void avg_pool_backward_packed_kernel(ChannelGrid grid, PoolWindows windows, PackImages<T> grad_output,
                                                PackImages<T> grad_input, bool accumulate) {
  constexpr int width = Pack<T>::width;
  const ChannelLane at(grid);
  for (int64_t i = 0; i < at.count; ++i) {
    const auto [n, h, w] = PoolWindows::place(at.row + i * at.step, grad_input.height, grad_input.width);
    const auto rows = windows.rows_containing(h), columns = windows.columns_containing(w);
    const int64_t index = at.first + i * at.stride;
    Pack<T> result{};
    if (accumulate) result = grad_input.data[index];
    float sum[width];
    unrolled<width>([&](int k) { sum[k] = static_cast<float>(result.values[k]); });
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      for (int64_t x = columns.begin; x < columns.end; ++x) {
        const auto divisor = static_cast<float>(windows.divisor(windows.rows(y), windows.columns(x)));
        const Pack<T> gradient = grad_output.data[grad_output.index(n, y, x, at.pack)];
        unrolled<width>([&](int k) { sum[k] += static_cast<float>(gradient.values[k]) / divisor; });
      }
    }
    unrolled<width>([&](int k) { result.values[k] = static_cast<T>(sum[k]); });
    grad_input.data[index] = result;
  }
}

namespace packed {

namespace {

// A thread waits for one pack after the other, so that many are wanted.
ChannelGrid grid_of(const Context& context, const Tensor& t) {
  constexpr int64_t blocks = 8;
  const Shape& shape = t.shape();
  return channel_grid(context, shape[0] * shape[2] * shape[3], shape[1] * static_cast<int64_t>(size_of(t.dtype())) / 16,
                      1, blocks);
}

// Calls launcher(T{}, context, grid): a thread for each pack of `over`.
template <class Launcher>
void run(const Tensor& over, const Launcher& launcher) {
  Context& context = Context::of(over);
  visit_types<float, float16, bfloat16>(over.dtype(),
                                        [&](auto type) { launcher(type, context, grid_of(context, over)); });
}

PoolWindows windows(const kernel::PoolProblem& problem) { return windows_of(problem, detail::Layout::channels_last); }

}  // namespace

bool fit(const kernel::PoolProblem& problem, std::initializer_list<Tensor> images, const Tensor& winners) {
  const Tensor& first = *images.begin();
  if (first.dtype() == DType::float64 || (winners.defined() && winners.dtype() != DType::uint8)) return false;
  const auto pixels = [](const Shape& s) { return s[0] * s[2] * s[3]; };
  if (pixels(problem.input) > INT32_MAX || pixels(problem.output) > INT32_MAX) return false;
  if (first.shape()[1] * static_cast<int64_t>(size_of(first.dtype())) % 16 != 0) return false;
  return std::all_of(images.begin(), images.end(), [](const Tensor& t) {
    return detail::layout_of(t) == detail::Layout::channels_last && is_aligned(elements<std::byte>(t));
  });
}

void max_pool2d_forward(const kernel::PoolProblem& problem, const Tensor& x, const Tensor& out, const Tensor& winners) {
  run(out, [&]<class T>(T, Context& context, const ChannelGrid& grid) {
    launch(max_pool_forward_packed_kernel<T>, grid.grid(), context, grid, windows(problem), images<T>(x),
           images<T>(out), elements<PackWinners<T>>(winners));
  });
}

void max_pool2d_backward(const kernel::PoolProblem& problem, const Tensor& grad_output, const Tensor& winners,
                         const Tensor& grad_input, bool accumulate) {
  run(grad_input, [&]<class T>(T, Context& context, const ChannelGrid& grid) {
    launch(max_pool_backward_packed_kernel<T>, grid.grid(), context, grid, windows(problem), images<T>(grad_output),
           elements<PackWinners<T>>(winners), images<T>(grad_input), accumulate);
  });
}

void avg_pool2d_forward(const kernel::PoolProblem& problem, const Tensor& x, const Tensor& out) {
  run(out, [&]<class T>(T, Context& context, const ChannelGrid& grid) {
    launch(avg_pool_forward_packed_kernel<T>, grid.grid(), context, grid, windows(problem), images<T>(x),
           images<T>(out));
  });
}

void avg_pool2d_backward(const kernel::PoolProblem& problem, const Tensor& grad_output, const Tensor& grad_input,
                         bool accumulate) {
  run(grad_input, [&]<class T>(T, Context& context, const ChannelGrid& grid) {
    launch(avg_pool_backward_packed_kernel<T>, grid.grid(), context, grid, windows(problem), images<T>(grad_output),
           images<T>(grad_input), accumulate);
  });
}

}  // namespace packed

}  // namespace dnn::cuda
