// The transpose of a convolution: what a convolution's gradient with respect to its input computes, so it runs on the
// convolution's kernels with the roles exchanged. The input here is that convolution's output.
#include "core/autocast.h"
#include "core/check.h"
#include "core/kernels/conv.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/conv.h"

namespace dnn {

using detail::Backward;
using detail::Layout;
using detail::Saved;
using kernel::ConvProblem;

namespace {

constexpr const char* where = "conv_transpose2d";

void check_options(const ConvTranspose2dOptions& o) {
  const auto at_least = [](const char* name, Size2 value, int64_t least) {
    // The upper bound keeps all size arithmetic within 64 bits.
    if (value.h < least || value.w < least || value.h > INT32_MAX || value.w > INT32_MAX)
      throw ArgumentError(
          fmt::format("{}: {} is {}x{}, expected {} to {}", where, name, value.h, value.w, least, INT32_MAX));
  };
  at_least("stride", o.stride, 1);
  at_least("padding", o.padding, 0);
  at_least("output_padding", o.output_padding, 0);
  at_least("dilation", o.dilation, 1);
  if (o.output_padding.h >= o.stride.h || o.output_padding.w >= o.stride.w)
    throw ArgumentError(fmt::format("{}: output_padding is {}x{}, expected less than the stride {}x{}", where,
                                    o.output_padding.h, o.output_padding.w, o.stride.h, o.stride.w));
  if (o.groups < 1) throw ArgumentError(fmt::format("{}: groups is {}, expected at least 1", where, o.groups));
}

// The convolution that this is the transpose of.
ConvProblem problem_of(const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvTranspose2dOptions& o) {
  check_options(o);
  detail::check_defined(where, {{"input", &input}, {"weight", &weight}});
  detail::check_same_device(where, {{"input", &input}, {"weight", &weight}, {"bias", &bias}});
  const DType type = detail::check_same_dtype(where, {{"input", &input}, {"weight", &weight}, {"bias", &bias}});
  detail::check_floating(where, "input", input);
  detail::check_rank(where, "input", input, 4);
  detail::check_rank(where, "weight", weight, 4);
  const Shape &x = input.shape(), &w = weight.shape();
  const auto facts = [&] { return fmt::format("(input {}, weight {}, groups {})", x, w, o.groups); };
  if (x[1] != w[0])
    throw ShapeError(fmt::format("{}: input has {} channels, weight expects {} {}", where, x[1], w[0], facts()));
  if (x[1] % o.groups != 0)
    throw ShapeError(fmt::format("{}: {} channels do not split into {} groups {}", where, x[1], o.groups, facts()));
  if (x[1] == 0 || x[2] == 0 || x[3] == 0 || w[1] == 0 || w[2] == 0 || w[3] == 0)
    throw ShapeError(fmt::format("{}: a size is 0, expected pixels, filters and channels {}", where, facts()));
  const int64_t filters = w[1] * o.groups;  // no more than the weight has elements
  if (bias.defined() && bias.shape() != Shape{filters})
    throw ShapeError(fmt::format("{}: bias has shape {}, expected [{}] {}", where, bias.shape(), filters, facts()));
  const auto size = [](int64_t in, int64_t stride, int64_t padding, int64_t dilation, int64_t taps, int64_t more) {
    return (in - 1) * stride - 2 * padding + dilation * (taps - 1) + more + 1;
  };
  const int64_t height = size(x[2], o.stride.h, o.padding.h, o.dilation.h, w[2], o.output_padding.h);
  const int64_t width = size(x[3], o.stride.w, o.padding.w, o.dilation.w, w[3], o.output_padding.w);
  if (height < 1 || width < 1)
    throw ShapeError(fmt::format("{}: the padding {}x{} leaves no pixel, the output would be {}x{} {}", where,
                                 o.padding.h, o.padding.w, height, width, facts()));
  return {{x[0], filters, height, width}, w, x, o.stride, o.padding, o.dilation, o.groups, type};
}

// The layout of the input where the output's channels fit it.
Layout output_layout(const ConvProblem& problem, Layout input) {
  const int64_t block = input == Layout::blocked16 ? 16 : input == Layout::blocked8 ? 8 : 1;
  return problem.input[1] % block == 0 ? input : Layout::plain;
}

}  // namespace

Tensor conv_transpose2d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const ConvTranspose2dOptions& options) {
  if (detail::autocasts()) {
    const detail::CastScope cast(where, input);
    return conv_transpose2d(cast(input), cast.weight(weight), cast.weight(bias), options);
  }
  const ConvProblem problem = problem_of(input, weight, bias, options);
  const Device device = input.device();
  const Tensor x = input.contiguous();
  Tensor out = detail::allocate(problem.input, problem.dtype, device);
  detail::set_layout(out, output_layout(problem, detail::layout_of(x)));
  {
    NoGrad no_grad;
    kernel::conv2d_backward_data[device](problem, x, detail::plain(weight), out, false);
  }
  detail::record(where, out, {x, weight}, [problem, x = Saved(x), w = Saved(weight)](Backward& b) {
    const Tensor input = b.get(x);
    if (b.wants(0)) {
      const Tensor gradient = detail::allocate_like(input);
      kernel::conv2d_forward[input.device()](problem, b.grad(), detail::plain(b.get(w)), {}, gradient);
      b.set(0, gradient);
    }
    if (b.wants(1)) {
      const auto [out, accumulate] = b.into(1);
      kernel::conv2d_backward_weight[out.device()](problem, b.grad(), input, out, accumulate, {}, false);
    }
  });
  return bias.defined() ? out + bias.reshape({1, problem.input[1], 1, 1}) : out;
}

}  // namespace dnn
