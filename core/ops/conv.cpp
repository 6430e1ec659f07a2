// Convolution of images.
#include "dnn/ops/conv.h"

#include "core/autocast.h"
#include "core/check.h"
#include "core/kernels/conv.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "core/ops/image_problems.h"

namespace dnn {

using detail::Backward;
using detail::Layout;
using detail::Saved;
using kernel::ConvProblem;

namespace {

int64_t output_size(int64_t input, int64_t padding, int64_t dilation, int64_t kernel, int64_t stride) {
  const int64_t room = input + 2 * padding - dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

void check_options(const char* where, const Conv2dOptions& o) {
  const auto at_least = [where](const char* name, Size2 value, int64_t least) {
    // The upper bound keeps all size arithmetic within 64 bits.
    if (value.h < least || value.w < least || value.h > INT32_MAX || value.w > INT32_MAX)
      throw ArgumentError(
          fmt::format("{}: {} is {}x{}, expected {} to {}", where, name, value.h, value.w, least, INT32_MAX));
  };
  at_least("stride", o.stride, 1);
  at_least("padding", o.padding, 0);
  at_least("dilation", o.dilation, 1);
  if (o.groups < 1) throw ArgumentError(fmt::format("{}: groups is {}, expected at least 1", where, o.groups));
}

}  // namespace

ConvProblem detail::conv_problem(const char* where, const Tensor& input, const Tensor& weight, const Tensor& bias,
                                 const Conv2dOptions& o, std::optional<DType> cast) {
  check_options(where, o);
  detail::check_defined(where, {{"input", &input}, {"weight", &weight}});
  detail::check_same_device(where, {{"input", &input}, {"weight", &weight}, {"bias", &bias}, {"add", &o.add}});
  const DType type = cast ? *cast
                          : detail::check_same_dtype(
                                where, {{"input", &input}, {"weight", &weight}, {"bias", &bias}, {"add", &o.add}});
  detail::check_floating(where, "input", input);
  detail::check_rank(where, "input", input, 4);
  detail::check_rank(where, "weight", weight, 4);
  const Shape &x = input.shape(), &w = weight.shape();
  const auto facts = [&] { return fmt::format("(input {}, weight {}, groups {})", x, w, o.groups); };
  int64_t channels = 0;
  if (__builtin_mul_overflow(w[1], o.groups, &channels)) channels = INT64_MAX;
  if (x[1] != channels)
    throw ShapeError(fmt::format("{}: input has {} channels, weight expects {} {}", where, x[1], channels, facts()));
  if (w[0] % o.groups != 0)
    throw ShapeError(fmt::format("{}: {} filters do not split into {} groups {}", where, w[0], o.groups, facts()));
  if (x[1] == 0 || w[0] == 0 || w[2] == 0 || w[3] == 0)
    throw ShapeError(fmt::format("{}: a size is 0, expected filters and channels {}", where, facts()));
  if (bias.defined() && bias.shape() != Shape{w[0]})
    throw ShapeError(fmt::format("{}: bias has shape {}, expected [{}] {}", where, bias.shape(), w[0], facts()));
  const int64_t height = output_size(x[2], o.padding.h, o.dilation.h, w[2], o.stride.h);
  const int64_t width = output_size(x[3], o.padding.w, o.dilation.w, w[3], o.stride.w);
  if (height == 0 || width == 0)
    throw ShapeError(fmt::format("{}: the filter is larger than the padded input {} with padding {}x{}, dilation {}x{}",
                                 where, facts(), o.padding.h, o.padding.w, o.dilation.h, o.dilation.w));
  const ConvProblem problem{x, w, {x[0], w[0], height, width}, o.stride, o.padding, o.dilation, o.groups, type};
  if (o.add.defined() && o.add.shape() != problem.output)
    throw ShapeError(fmt::format("{}: add has shape {}, expected the result's {} {}", where, o.add.shape(),
                                 problem.output, facts()));
  return problem;
}

namespace {

// `where` is the operation that errors name.
Tensor convolve(const char* where, const Tensor& input, const Tensor& weight, const Tensor& bias,
                const Conv2dOptions& options) {
  const ConvProblem problem = detail::conv_problem(where, input, weight, bias, options);
  if (options.activation == Activation::gelu_tanh) {  // the kernels know relu alone
    Conv2dOptions plain = options;
    plain.activation = Activation::none;
    return gelu(convolve(where, input, weight, bias, plain), GeluForm::tanh);
  }
  const Device device = input.device();
  const bool fused = options.activation != Activation::none || options.add.defined();
  if (fused && !kernel::conv2d_fused.filled(device)) {
    Conv2dOptions plain = options;
    plain.activation = Activation::none, plain.add = {};
    return detail::compose(conv2d(input, weight, bias, plain), options.add, options.activation);
  }

  const Tensor x = input.contiguous();
  Tensor out = detail::allocate(problem.output, problem.dtype, device);
  Layout layout = Layout::plain;
  if (kernel::conv2d_layout.filled(device)) kernel::conv2d_layout[device](problem, detail::layout_of(x), &layout);
  detail::set_layout(out, layout);
  {
    NoGrad no_grad;
    const Tensor w = detail::plain(weight), b = bias.defined() ? detail::plain(bias) : bias;
    if (fused) {
      const Tensor add = options.add.defined() ? detail::in_layout(options.add.contiguous(), layout) : Tensor();
      kernel::conv2d_fused[device](problem, x, w, b, add, options.activation, out);
    } else {
      kernel::conv2d_forward[device](problem, x, w, b, out);
    }
  }

  const Saved y = options.activation == Activation::none ? Saved() : Saved(out);
  detail::record(
      "conv2d", out, {x, weight, bias, options.add},
      [problem, x = Saved(x), w = Saved(weight), y, activation = options.activation](Backward& b) {
        const Tensor grad = detail::before_activation(b.grad(), b.get(y), activation);
        const Tensor input = b.get(x);
        if (b.wants(0)) {
          const auto [out, accumulate] = b.into(0, detail::layout_of(input));
          kernel::conv2d_backward_data[out.device()](problem, grad, detail::plain(b.get(w)), out, accumulate);
        }
        if (b.wants(1)) {
          const auto [out, accumulate] = b.into(1);
          const auto [bias, accumulate_bias] = b.wants(2) ? b.into(2) : detail::Destination{{}, false};
          kernel::conv2d_backward_weight[out.device()](problem, input, grad, out, accumulate, bias, accumulate_bias);
        } else if (b.wants(2)) {
          const auto [out, accumulate] = b.into(2);
          kernel::channel_sum[out.device()](grad, out, accumulate);
        }
        if (b.wants(3)) b.set(3, grad);
      });
  return out;
}

}  // namespace

Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options) {
  if (detail::autocasts()) {
    const detail::CastScope cast("conv2d", input);
    const Tensor x = cast(input), w = cast.weight(weight), b = cast.weight(bias);
    if (!options.add.defined() || options.add.dtype() == cast.type()) return conv2d(x, w, b, options);
    Conv2dOptions plain = options;
    plain.activation = Activation::none, plain.add = {};
    return detail::compose(conv2d(x, w, b, plain), options.add, options.activation);
  }
  return convolve("conv2d", input, weight, bias, options);
}

Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv1dOptions& options) {
  detail::check_defined("conv1d", {{"input", &input}, {"weight", &weight}});
  detail::check_rank("conv1d", "input", input, 3);
  detail::check_rank("conv1d", "weight", weight, 3);
  if (detail::autocasts()) {
    const detail::CastScope cast("conv1d", input);
    return conv1d(cast(input), cast.weight(weight), cast.weight(bias), options);
  }
  const Tensor y = convolve("conv1d", input.unsqueeze(2), weight.unsqueeze(2), bias,
                            {.stride = Size2(1, options.stride),
                             .padding = Size2(0, options.padding),
                             .dilation = Size2(1, options.dilation),
                             .groups = options.groups});
  return y.squeeze(2);
}

Tensor pixel_shuffle(const Tensor& input, int64_t factor) {
  detail::check_defined("pixel_shuffle", {{"input", &input}});
  detail::check_rank("pixel_shuffle", "input", input, 4);
  const Shape& x = input.shape();
  if (factor < 1 || factor > INT32_MAX)
    throw ArgumentError(fmt::format("pixel_shuffle: factor is {}, expected 1 to {} (input {})", factor, INT32_MAX, x));
  if (x[1] % (factor * factor) != 0)
    throw ShapeError(
        fmt::format("pixel_shuffle: {} channels do not split into {}x{} pixels (input {})", x[1], factor, factor, x));
  const int64_t channels = x[1] / (factor * factor);
  return input
      .reshape({x[0], channels, factor, factor, x[2], x[3]})  // n, c, r, s, h, w
      .transpose(2, 4)                                        // n, c, h, s, r, w
      .transpose(3, 4)                                        // n, c, h, r, s, w
      .transpose(4, 5)                                        // n, c, h, r, w, s
      .reshape({x[0], channels, x[2] * factor, x[3] * factor});
}

}  // namespace dnn
