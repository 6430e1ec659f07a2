// Maximum and average pooling of images in any type and layout: a thread per output element forward, a thread per input
// element backward; images whose channels lie side by side in whole packs go to pool_packed.cu.
//
// The backward pass gathers: an input pixel visits the windows that contain it and adds their gradients in a fixed
// order, so that nothing is added atomically.
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/pool.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

// NaN wins, and of equals the first. `winners` is null when nobody wants them.
template <class T, class Winner>
__global__ void max_pool_forward_kernel(PoolWindows windows, const T* x, T* out, Winner* winners) {
  using C = Compute<T>;
  for (const auto i : grid_stride(windows.output.numel())) {
    const ImagePosition at = windows.output.position(i);
    const int64_t y = at.pixel / windows.out_width, column = at.pixel % windows.out_width;
    const auto rows = windows.rows(y), columns = windows.columns(column);
    C best = 0;
    int64_t winner = -1;
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const C value = static_cast<C>(x[windows.input.offset({at.n, at.c, h * windows.width + w})]);
        if (winner >= 0 && !(value > best) && !(value != value && best == best)) continue;
        if (winner >= 0 && best != best) continue;
        best = value;
        winner = (h - windows.top(y)) * windows.kernel_w + w - windows.left(column);
      }
    }
    out[i] = static_cast<T>(best);
    if (winners != nullptr) winners[i] = static_cast<Winner>(winner);
  }
}

void max_pool2d_forward(const kernel::PoolProblem& problem, const Tensor& x, const Tensor& out, const Tensor& winners) {
  if (packed::fit(problem, {x, out}, winners)) return packed::max_pool2d_forward(problem, x, out, winners);
  const DType type = winners.defined() ? winners.dtype() : DType::uint8;
  visit_floating(x.dtype(), [&]<class T>(T) {
    visit_types<uint8_t, int32_t>(type, [&]<class Winner>(Winner) {
      Context& context = Context::of(out);
      launch(max_pool_forward_kernel<T, Winner>, context.grid(out.numel()), context,
             windows_of(problem, detail::layout_of(x)), elements<T>(x), elements<T>(out), elements<Winner>(winners));
    });
  });
}

template <class T, class Winner>
__global__ void max_pool_backward_kernel(PoolWindows windows, const T* grad_output, const Winner* winners,
                                         T* grad_input, bool accumulate) {
  using C = Compute<T>;
  for (const auto i : grid_stride(windows.input.numel())) {
    const ImagePosition at = windows.input.position(i);
    const int64_t h = at.pixel / windows.width, w = at.pixel % windows.width;
    const auto rows = windows.rows_containing(h), columns = windows.columns_containing(w);
    C sum = accumulate ? static_cast<C>(grad_input[i]) : C(0);
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      for (int64_t x = columns.begin; x < columns.end; ++x) {
        const int64_t output = windows.output.offset({at.n, at.c, y * windows.out_width + x});
        const int64_t mine = (h - windows.top(y)) * windows.kernel_w + w - windows.left(x);
        if (static_cast<int64_t>(winners[output]) == mine) sum += static_cast<C>(grad_output[output]);
      }
    }
    grad_input[i] = static_cast<T>(sum);
  }
}

void max_pool2d_backward(const kernel::PoolProblem& problem, const Tensor& grad_output, const Tensor& winners,
                         const Tensor& grad_input, bool accumulate) {
  if (packed::fit(problem, {grad_input, grad_output}, winners))
    return packed::max_pool2d_backward(problem, grad_output, winners, grad_input, accumulate);
  visit_floating(grad_input.dtype(), [&]<class T>(T) {
    visit_types<uint8_t, int32_t>(winners.dtype(), [&]<class Winner>(Winner) {
      Context& context = Context::of(grad_input);
      launch(max_pool_backward_kernel<T, Winner>, context.grid(grad_input.numel()), context,
             windows_of(problem, detail::layout_of(grad_input)), elements<T>(grad_output), elements<Winner>(winners),
             elements<T>(grad_input), accumulate);
    });
  });
}

template <class T>
__global__ void avg_pool_forward_kernel(PoolWindows windows, const T* x, T* out) {
  using C = Compute<T>;
  for (const auto i : grid_stride(windows.output.numel())) {
    const ImagePosition at = windows.output.position(i);
    const auto rows = windows.rows(at.pixel / windows.out_width),
               columns = windows.columns(at.pixel % windows.out_width);
    C sum = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w)
        sum += static_cast<C>(x[windows.input.offset({at.n, at.c, h * windows.width + w})]);
    }
    out[i] = static_cast<T>(sum / static_cast<C>(windows.divisor(rows, columns)));
  }
}

void avg_pool2d_forward(const kernel::PoolProblem& problem, const Tensor& x, const Tensor& out) {
  if (packed::fit(problem, {x, out}, {})) return packed::avg_pool2d_forward(problem, x, out);
  visit_floating(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    launch(avg_pool_forward_kernel<T>, context.grid(out.numel()), context, windows_of(problem, detail::layout_of(x)),
           elements<T>(x), elements<T>(out));
  });
}

template <class T>
__global__ void avg_pool_backward_kernel(PoolWindows windows, const T* grad_output, T* grad_input, bool accumulate) {
  using C = Compute<T>;
  for (const auto i : grid_stride(windows.input.numel())) {
    const ImagePosition at = windows.input.position(i);
    const auto rows = windows.rows_containing(at.pixel / windows.width);
    const auto columns = windows.columns_containing(at.pixel % windows.width);
    C sum = accumulate ? static_cast<C>(grad_input[i]) : C(0);
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      for (int64_t x = columns.begin; x < columns.end; ++x) {
        const C divisor = static_cast<C>(windows.divisor(windows.rows(y), windows.columns(x)));
        sum += static_cast<C>(grad_output[windows.output.offset({at.n, at.c, y * windows.out_width + x})]) / divisor;
      }
    }
    grad_input[i] = static_cast<T>(sum);
  }
}

void avg_pool2d_backward(const kernel::PoolProblem& problem, const Tensor& grad_output, const Tensor& grad_input,
                         bool accumulate) {
  if (packed::fit(problem, {grad_input, grad_output}, {}))
    return packed::avg_pool2d_backward(problem, grad_output, grad_input, accumulate);
  visit_floating(grad_input.dtype(), [&]<class T>(T) {
    Context& context = Context::of(grad_input);
    launch(avg_pool_backward_kernel<T>, context.grid(grad_input.numel()), context,
           windows_of(problem, detail::layout_of(grad_input)), elements<T>(grad_output), elements<T>(grad_input),
           accumulate);
  });
}

}  // namespace dnn::cuda
