// Pooling of images.
#include "dnn/ops/pool.h"

#include "core/check.h"
#include "core/kernels/pool.h"
#include "core/node.h"

namespace dnn {

using detail::Backward;
using detail::Saved;
using kernel::PoolProblem;

namespace {

PoolProblem problem_of(const char* where, const Tensor& input, const Pool2dOptions& o) {
  detail::check_defined(where, {{"input", &input}});
  detail::check_floating(where, "input", input);
  detail::check_rank(where, "input", input, 4);
  const Size2 stride(o.stride.h == 0 ? o.kernel.h : o.stride.h, o.stride.w == 0 ? o.kernel.w : o.stride.w);
  const auto text = [](Size2 s) { return fmt::format("{}x{}", s.h, s.w); };
  const auto check = [&](bool good, const char* name, Size2 value, const char* expected) {
    if (!good)
      throw ArgumentError(fmt::format("{}: {} is {}, expected {} (input {}, kernel {})", where, name, text(value),
                                      expected, input.shape(), text(o.kernel)));
  };
  const auto within = [](Size2 v, int64_t least) {
    return v.h >= least && v.w >= least && v.h <= INT32_MAX && v.w <= INT32_MAX;
  };
  check(within(o.kernel, 1) && o.kernel.h * o.kernel.w <= INT32_MAX, "kernel", o.kernel, "at least 1");
  check(within(stride, 1), "stride", o.stride, "at least 1, or 0 for the kernel's size");
  check(within(o.padding, 0) && 2 * o.padding.h <= o.kernel.h && 2 * o.padding.w <= o.kernel.w, "padding", o.padding,
        "0 to half the kernel");
  const Shape& x = input.shape();
  // A window of border alone has no largest element, and pooling has nothing else to offer here.
  if (x[2] == 0 || x[3] == 0)
    throw ShapeError(fmt::format("{}: the image has no pixels, expected at least one (input {})", where, x));
  const int64_t room_h = x[2] + 2 * o.padding.h - o.kernel.h, room_w = x[3] + 2 * o.padding.w - o.kernel.w;
  if (room_h < 0 || room_w < 0)
    throw ShapeError(fmt::format("{}: the window {} is larger than the padded input (input {}, padding {})", where,
                                 text(o.kernel), x, text(o.padding)));
  const Shape output{x[0], x[1], room_h / stride.h + 1, room_w / stride.w + 1};
  return {x, output, o.kernel, stride, o.padding, o.count_include_pad};
}

}  // namespace

Tensor max_pool2d(const Tensor& input, const Pool2dOptions& options) {
  const PoolProblem problem = problem_of("max_pool2d", input, options);
  const Tensor x = input.contiguous();
  const auto like_output = [&](DType type) {
    Tensor t = detail::allocate(problem.output, type, x.device());
    detail::set_layout(t, detail::layout_of(x));
    return t;
  };
  Tensor out = like_output(x.dtype()), winners;
  const bool small = problem.kernel.h * problem.kernel.w <= 256;
  if (detail::needs_grad({&input, 1})) winners = like_output(small ? DType::uint8 : DType::int32);
  kernel::max_pool2d_forward[x.device()](problem, x, out, winners);
  detail::record("max_pool2d", out, {x}, [problem, winners](Backward& b) {
    const detail::Layout layout = detail::layout_of(winners);
    const auto [out, accumulate] = b.into(0, layout);
    kernel::max_pool2d_backward[out.device()](problem, detail::in_layout(b.grad(), layout), winners, out, accumulate);
  });
  return out;
}

Tensor avg_pool2d(const Tensor& input, const Pool2dOptions& options) {
  const PoolProblem problem = problem_of("avg_pool2d", input, options);
  const Tensor x = input.contiguous();
  Tensor out = detail::allocate(problem.output, x.dtype(), x.device());
  detail::set_layout(out, detail::layout_of(x));
  kernel::avg_pool2d_forward[x.device()](problem, x, out);
  detail::record("avg_pool2d", out, {x}, [problem](Backward& b) {
    const auto [out, accumulate] = b.into(0, detail::layout_of(b.grad()));
    kernel::avg_pool2d_backward[out.device()](problem, b.grad(), out, accumulate);
  });
  return out;
}

}  // namespace dnn
