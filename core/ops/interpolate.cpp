// Interpolation of images.
#include "dnn/ops/interpolate.h"

#include <cmath>

#include "core/check.h"
#include "core/kernels/interpolate.h"
#include "core/node.h"

namespace dnn {

using kernel::InterpolateProblem;
using kernel::Sampling;

namespace {

Sampling sampling_of(int64_t input, int64_t output, double scale, const InterpolateOptions& o) {
  Sampling s{.input = input, .output = output};
  s.linear = o.mode == Interpolation::bilinear;
  s.align_corners = o.align_corners;
  const auto in = static_cast<double>(input), out = static_cast<double>(output);
  s.step = !o.align_corners ? (scale > 0 ? 1 / scale : in / out) : output > 1 ? (in - 1) / (out - 1) : 0;
  return s;
}

InterpolateProblem problem_of(const Tensor& input, const InterpolateOptions& o) {
  detail::check_defined("interpolate", {{"input", &input}});
  detail::check_floating("interpolate", "input", input);
  detail::check_rank("interpolate", "input", input, 4);
  const Shape& x = input.shape();
  const bool by_size = o.size != Size2(0), by_scale = o.scale != Scale2(0);
  if (by_size == by_scale)
    throw ArgumentError(
        fmt::format("interpolate: {} given, expected either size or scale (size {}x{}, scale {}x{}, input {})",
                    by_size ? "both are" : "neither is", o.size.h, o.size.w, o.scale.h, o.scale.w, x));
  if (o.align_corners && o.mode == Interpolation::nearest)
    throw ArgumentError(fmt::format("interpolate: align_corners is set, expected bilinear mode with it (input {})", x));
  if (x[2] == 0 || x[3] == 0)
    throw ShapeError(fmt::format("interpolate: the image has no pixels, expected at least one (input {})", x));
  Size2 size = o.size;
  if (by_scale) {
    const double height = std::floor(static_cast<double>(x[2]) * o.scale.h);
    const double width = std::floor(static_cast<double>(x[3]) * o.scale.w);
    if (!(height >= 1 && width >= 1 && height <= INT32_MAX && width <= INT32_MAX))
      throw ArgumentError(
          fmt::format("interpolate: scale is {}x{}, expected one that leaves 1 to {} rows and columns (input {})",
                      o.scale.h, o.scale.w, INT32_MAX, x));
    size = {static_cast<int64_t>(height), static_cast<int64_t>(width)};
  }
  if (size.h < 1 || size.w < 1 || size.h > INT32_MAX || size.w > INT32_MAX)
    throw ArgumentError(
        fmt::format("interpolate: size is {}x{}, expected 1 to {} (input {})", size.h, size.w, INT32_MAX, x));
  return {x,
          {x[0], x[1], size.h, size.w},
          sampling_of(x[2], size.h, o.scale.h, o),
          sampling_of(x[3], size.w, o.scale.w, o)};
}

}  // namespace

Tensor interpolate(const Tensor& input, const InterpolateOptions& options) {
  const InterpolateProblem problem = problem_of(input, options);
  const Tensor x = input.contiguous();
  Tensor out = detail::allocate(problem.output, x.dtype(), x.device());
  detail::set_layout(out, detail::layout_of(x));
  kernel::interpolate_forward[x.device()](problem, x, out);
  detail::record("interpolate", out, {x}, [problem](detail::Backward& b) {
    const auto [out, accumulate] = b.into(0, detail::layout_of(b.grad()));
    kernel::interpolate_backward[out.device()](problem, b.grad(), out, accumulate);
  });
  return out;
}

}  // namespace dnn
