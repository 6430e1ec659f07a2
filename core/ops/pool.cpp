// Pooling of images.
#include "dnn/ops/pool.h"

#include <algorithm>

#include "core/check.h"
#include "core/kernels/pool.h"
#include "core/node.h"
#include "core/ops/image_problems.h"
#include "dnn/ops/reduce.h"

namespace dnn {

using detail::Backward;
using detail::Saved;
using kernel::PoolProblem;

PoolProblem detail::pool_problem(const char* where, const Shape& x, const Pool2dOptions& o) {
  const Size2 stride(o.stride.h == 0 ? o.kernel.h : o.stride.h, o.stride.w == 0 ? o.kernel.w : o.stride.w);
  const auto text = [](Size2 s) { return fmt::format("{}x{}", s.h, s.w); };
  const auto check = [&](bool good, const char* name, Size2 value, const char* expected) {
    if (!good)
      throw ArgumentError(fmt::format("{}: {} is {}, expected {} (input {}, kernel {})", where, name, text(value),
                                      expected, x, text(o.kernel)));
  };
  const auto within = [](Size2 v, int64_t least) {
    return v.h >= least && v.w >= least && v.h <= INT32_MAX && v.w <= INT32_MAX;
  };
  check(within(o.kernel, 1) && o.kernel.h * o.kernel.w <= INT32_MAX, "kernel", o.kernel, "at least 1");
  check(within(stride, 1), "stride", o.stride, "at least 1, or 0 for the kernel's size");
  check(within(o.padding, 0) && 2 * o.padding.h <= o.kernel.h && 2 * o.padding.w <= o.kernel.w, "padding", o.padding,
        "0 to half the kernel");
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

namespace {

PoolProblem problem_of(const char* where, const Tensor& input, const Pool2dOptions& o) {
  detail::check_defined(where, {{"input", &input}});
  detail::check_floating(where, "input", input);
  detail::check_rank(where, "input", input, 4);
  return detail::pool_problem(where, input.shape(), o);
}

// The largest size of a bin when `size` pixels are divided into `bins`, or a little more.
int64_t largest_bin(int64_t size, int64_t bins) { return std::min(size, size / bins + 2); }

PoolProblem adaptive_problem(const char* where, const Tensor& input, Size2 output) {
  detail::check_defined(where, {{"input", &input}});
  detail::check_floating(where, "input", input);
  detail::check_rank(where, "input", input, 4);
  const Shape& x = input.shape();
  if (output.h < 1 || output.w < 1 || output.h > INT32_MAX || output.w > INT32_MAX)
    throw ArgumentError(
        fmt::format("{}: output is {}x{}, expected at least 1 (input {})", where, output.h, output.w, x));
  if (x[2] == 0 || x[3] == 0)
    throw ShapeError(fmt::format("{}: the image has no pixels, expected at least one (input {})", where, x));
  PoolProblem problem{.input = x, .output = {x[0], x[1], output.h, output.w}};
  problem.adaptive = x[2] % output.h != 0 || x[3] % output.w != 0;
  problem.kernel = problem.adaptive ? Size2(largest_bin(x[2], output.h), largest_bin(x[3], output.w))
                                    : Size2(x[2] / output.h, x[3] / output.w);
  problem.stride = problem.kernel;
  problem.count_include_pad = false;
  return problem;
}

Tensor max_pool(const char* where, const PoolProblem& problem, const Tensor& input) {
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
  detail::record(where, out, {x}, [problem, winners](Backward& b) {
    const detail::Layout layout = detail::layout_of(winners);
    const auto [out, accumulate] = b.into(0, layout);
    kernel::max_pool2d_backward[out.device()](problem, detail::in_layout(b.grad(), layout), winners, out, accumulate);
  });
  return out;
}

Tensor avg_pool(const char* where, const PoolProblem& problem, const Tensor& input) {
  const Tensor x = input.contiguous();
  Tensor out = detail::allocate(problem.output, x.dtype(), x.device());
  detail::set_layout(out, detail::layout_of(x));
  kernel::avg_pool2d_forward[x.device()](problem, x, out);
  detail::record(where, out, {x}, [problem](Backward& b) {
    const auto [out, accumulate] = b.into(0, detail::layout_of(b.grad()));
    kernel::avg_pool2d_backward[out.device()](problem, b.grad(), out, accumulate);
  });
  return out;
}

// Sequences as images of height 1.
Tensor as_images(const char* where, const Tensor& input) {
  detail::check_defined(where, {{"input", &input}});
  detail::check_rank(where, "input", input, 3);
  return input.unsqueeze(2);
}

Pool2dOptions image_options(const Pool1dOptions& o) {
  return {.kernel = Size2(1, o.kernel),
          .stride = Size2(1, o.stride),
          .padding = Size2(0, o.padding),
          .count_include_pad = o.count_include_pad};
}

}  // namespace

Tensor max_pool2d(const Tensor& input, const Pool2dOptions& options) {
  return max_pool("max_pool2d", problem_of("max_pool2d", input, options), input);
}

Tensor avg_pool2d(const Tensor& input, const Pool2dOptions& options) {
  return avg_pool("avg_pool2d", problem_of("avg_pool2d", input, options), input);
}

Tensor adaptive_max_pool2d(const Tensor& input, Size2 output) {
  return max_pool("adaptive_max_pool2d", adaptive_problem("adaptive_max_pool2d", input, output), input);
}

Tensor adaptive_avg_pool2d(const Tensor& input, Size2 output) {
  const PoolProblem problem = adaptive_problem("adaptive_avg_pool2d", input, output);
  // Global pooling of plain images is a sum over rows of memory, which the reductions do faster.
  if (output == Size2(1) && detail::layout_of(input) == detail::Layout::plain)
    return mean(input, {.dims = {2, 3}, .keepdim = true});
  return avg_pool("adaptive_avg_pool2d", problem, input);
}

Tensor max_pool1d(const Tensor& input, const Pool1dOptions& options) {
  const Tensor x = as_images("max_pool1d", input);
  return max_pool("max_pool1d", problem_of("max_pool1d", x, image_options(options)), x).squeeze(2);
}

Tensor avg_pool1d(const Tensor& input, const Pool1dOptions& options) {
  const Tensor x = as_images("avg_pool1d", input);
  return avg_pool("avg_pool1d", problem_of("avg_pool1d", x, image_options(options)), x).squeeze(2);
}

}  // namespace dnn
