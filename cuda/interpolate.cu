// Interpolation of images in any layout: a thread per output element forward, a thread per input element backward.
//
// The backward pass gathers: the outputs that look at an input pixel lie side by side, and a binary search finds the
// first, so that nothing is added atomically.
#include "core/kernels/interpolate.h"
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/layout.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

struct SampledImages {
  Images input, output;
  kernel::Sampling rows, columns;
};

namespace {

SampledImages sampled(const kernel::InterpolateProblem& p, detail::Layout layout) {
  const auto images = [layout](const Shape& s) { return Images{layout, s[0], s[1], s[2] * s[3]}; };
  return {images(p.input), images(p.output), p.rows, p.columns};
}

// The first output that looks at an input pixel or at a later one.
__device__ int64_t first_looking_at(const kernel::Sampling& s, int64_t pixel) {
  int64_t begin = 0, end = s.output;
  while (begin < end) {
    const int64_t middle = (begin + end) / 2;
    if (s.at(middle).high < pixel) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

// How much of an output comes from an input pixel.
__device__ double share(const kernel::Tap& tap, int64_t pixel) {
  return (tap.low == pixel ? 1 - tap.weight : 0) + (tap.high == pixel ? tap.weight : 0);
}

}  // namespace

template <class T>
__global__ void interpolate_forward_kernel(SampledImages images, const T* x, T* out) {
  using C = Compute<T>;
  for (const auto i : grid_stride(images.output.numel())) {
    const ImagePosition at = images.output.position(i);
    const kernel::Tap row = images.rows.at(at.pixel / images.columns.output);
    const kernel::Tap column = images.columns.at(at.pixel % images.columns.output);
    const auto value = [&](int64_t h, int64_t w) {
      return static_cast<C>(x[images.input.offset({at.n, at.c, h * images.columns.input + w})]);
    };
    if (!images.rows.linear) {
      out[i] = static_cast<T>(value(row.low, column.low));
      continue;
    }
    const C below = static_cast<C>(row.weight), right = static_cast<C>(column.weight);
    const C above = C(1) - below, left = C(1) - right;
    out[i] = static_cast<T>(above * (left * value(row.low, column.low) + right * value(row.low, column.high)) +
                            below * (left * value(row.high, column.low) + right * value(row.high, column.high)));
  }
}

void interpolate_forward(const kernel::InterpolateProblem& problem, const Tensor& x, const Tensor& out) {
  visit_floating(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    launch(interpolate_forward_kernel<T>, context.grid(out.numel()), context, sampled(problem, detail::layout_of(x)),
           elements<T>(x), elements<T>(out));
  });
}

template <class T>
__global__ void interpolate_backward_kernel(SampledImages images, const T* grad_output, T* grad_input,
                                            bool accumulate) {
  using C = Compute<T>;
  for (const auto i : grid_stride(images.input.numel())) {
    const ImagePosition at = images.input.position(i);
    const int64_t h = at.pixel / images.columns.input, w = at.pixel % images.columns.input;
    const int64_t first_row = first_looking_at(images.rows, h), first_column = first_looking_at(images.columns, w);
    C sum = accumulate ? static_cast<C>(grad_input[i]) : C(0);
    for (int64_t r = first_row; r < images.rows.output; ++r) {
      const kernel::Tap row = images.rows.at(r);
      if (row.low > h) break;
      for (int64_t s = first_column; s < images.columns.output; ++s) {
        const kernel::Tap column = images.columns.at(s);
        if (column.low > w) break;
        const int64_t output = images.output.offset({at.n, at.c, r * images.columns.output + s});
        sum += static_cast<C>(share(row, h) * share(column, w)) * static_cast<C>(grad_output[output]);
      }
    }
    grad_input[i] = static_cast<T>(sum);
  }
}

void interpolate_backward(const kernel::InterpolateProblem& problem, const Tensor& grad_output,
                          const Tensor& grad_input, bool accumulate) {
  visit_floating(grad_input.dtype(), [&]<class T>(T) {
    Context& context = Context::of(grad_input);
    launch(interpolate_backward_kernel<T>, context.grid(grad_input.numel()), context,
           sampled(problem, detail::layout_of(grad_input)), elements<T>(grad_output), elements<T>(grad_input),
           accumulate);
  });
}

}  // namespace dnn::cuda
