// Maximum and average pooling of images in any layout: a thread per output element forward, a thread per input element
// backward.
//
// The backward pass gathers: an input pixel visits the windows that contain it and adds their gradients in a fixed
// order, so that nothing is added atomically.
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/layout.cuh"
#include "cuda/vector.cuh"

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
  __device__ int64_t divisor(const Range& rows, const Range& columns) const {
    return count_padding ? kernel_h * kernel_w : (rows.end - rows.begin) * (columns.end - columns.begin);
  }
};

namespace {

PoolWindows windows_of(const kernel::PoolProblem& p, detail::Layout layout) {
  const auto images = [layout](const Shape& s) { return Images{layout, s[0], s[1], s[2] * s[3]}; };
  return {images(p.input), images(p.output), p.input[2], p.input[3],  p.output[2], p.output[3],         p.kernel.h,
          p.kernel.w,      p.stride.h,       p.stride.w, p.padding.h, p.padding.w, p.count_include_pad, p.adaptive};
}

}  // namespace

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
  visit_floating(grad_input.dtype(), [&]<class T>(T) {
    Context& context = Context::of(grad_input);
    launch(avg_pool_backward_kernel<T>, context.grid(grad_input.numel()), context,
           windows_of(problem, detail::layout_of(grad_input)), elements<T>(grad_output), elements<T>(grad_input),
           accumulate);
  });
}

}  // namespace dnn::cuda
