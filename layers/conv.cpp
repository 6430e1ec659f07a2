// Convolution layers.
#include "dnn/layers/conv.h"

#include <cmath>

#include "dnn/init.h"
#include "layers/blank.h"
#include "layers/text.h"

namespace dnn {

namespace {

using detail::text_of;
std::string text_of(int64_t size) { return std::to_string(size); }

bool below(Size2 size, int64_t least) { return size.h < least || size.w < least; }
bool below(int64_t size, int64_t least) { return size < least; }

// What every constructor refuses.
template <class Options>
void check(const char* layer, int64_t in, int64_t out, const Options& options) {
  if (in < 1 || out < 1)
    throw ArgumentError(fmt::format("{}: in is {} and out is {}, expected both at least 1", layer, in, out));
  const auto check_size = [layer](const char* name, auto size, int64_t least) {
    if (below(size, least))
      throw ArgumentError(fmt::format("{}: {} is {}, expected at least {}", layer, name, text_of(size), least));
  };
  check_size("kernel", options.kernel, 1);
  check_size("stride", options.stride, 1);
  check_size("padding", options.padding, 0);
  check_size("dilation", options.dilation, 1);
  if (options.groups < 1 || in % options.groups != 0 || out % options.groups != 0)
    throw ArgumentError(fmt::format("{}: groups is {}, expected a divisor of both channel counts (in {}, out {})",
                                    layer, options.groups, in, out));
}

// Uniform in +-1 / sqrt(fan), with as many biases as `biases` says.
void initialise(Parameter& weight, Parameter& bias, const Shape& sizes, int64_t biases) {
  weight = Parameter(detail::blank(sizes));
  kaiming_uniform_(weight, {.a = std::sqrt(5.0)});
  if (biases == 0) return;
  bias = Parameter(detail::blank({biases}));
  const int64_t fan = weight.numel() / sizes[0];
  const double bound = 1 / std::sqrt(static_cast<double>(fan));
  uniform_(bias, -bound, bound);
}

template <class Options>
std::string describe_conv(int64_t in, int64_t out, const Options& options) {
  std::string text = fmt::format("{}, {}, kernel={}", in, out, text_of(options.kernel));
  if (options.stride != 1) text += ", stride=" + text_of(options.stride);
  if (options.padding != 0) text += ", padding=" + text_of(options.padding);
  if constexpr (requires { options.output_padding; })
    if (options.output_padding != 0) text += ", output_padding=" + text_of(options.output_padding);
  if (options.dilation != 1) text += ", dilation=" + text_of(options.dilation);
  if (options.groups != 1) text += fmt::format(", groups={}", options.groups);
  if (!options.bias) text += ", bias=false";
  return text;
}

}  // namespace

Conv2d::Conv2d(int64_t in, int64_t out, const ConvLayerOptions& options) : in_(in), options_(options) {
  check("Conv2d", in, out, options);
  initialise(weight, bias, {out, in / options.groups, options.kernel.h, options.kernel.w}, options.bias ? out : 0);
}

Conv2dOptions Conv2d::operation(const Epilogue& epilogue) const {
  return {.stride = options_.stride,
          .padding = options_.padding,
          .dilation = options_.dilation,
          .groups = options_.groups,
          .activation = epilogue.activation(),
          .add = epilogue.add};
}

Tensor Conv2d::convolve(const Tensor& x, const Tensor& weight, const Tensor& bias, const Epilogue& epilogue) const {
  return conv2d(x, weight, bias, operation(epilogue));
}

std::string Conv2d::describe() const { return describe_conv(in_, weight.size(0), options_); }

int64_t Conv2d::macs(const Shape& /*input*/, const Shape& output) const {
  return output.numel() * (weight.numel() / weight.size(0));
}

Conv1d::Conv1d(int64_t in, int64_t out, const Conv1dLayerOptions& options) : in_(in), options_(options) {
  check("Conv1d", in, out, options);
  initialise(weight, bias, {out, in / options.groups, options.kernel}, options.bias ? out : 0);
}

Tensor Conv1d::forward(Tensor x) {
  return conv1d(x, weight, bias,
                {.stride = options_.stride,
                 .padding = options_.padding,
                 .dilation = options_.dilation,
                 .groups = options_.groups});
}

std::string Conv1d::describe() const { return describe_conv(in_, weight.size(0), options_); }

int64_t Conv1d::macs(const Shape& /*input*/, const Shape& output) const {
  return output.numel() * (weight.numel() / weight.size(0));
}

ConvTranspose2d::ConvTranspose2d(int64_t in, int64_t out, const ConvTransposeLayerOptions& options)
    : out_(out), options_(options) {
  check("ConvTranspose2d", in, out, options);
  if (below(options.output_padding, 0) || options.output_padding.h >= options.stride.h ||
      options.output_padding.w >= options.stride.w)
    throw ArgumentError(
        fmt::format("ConvTranspose2d: output_padding is {}, expected at least 0 and less than the stride "
                    "{}",
                    text_of(options.output_padding), text_of(options.stride)));
  initialise(weight, bias, {in, out / options.groups, options.kernel.h, options.kernel.w}, options.bias ? out : 0);
}

Tensor ConvTranspose2d::forward(Tensor x) {
  return conv_transpose2d(x, weight, bias,
                          {.stride = options_.stride,
                           .padding = options_.padding,
                           .output_padding = options_.output_padding,
                           .dilation = options_.dilation,
                           .groups = options_.groups});
}

std::string ConvTranspose2d::describe() const { return describe_conv(weight.size(0), out_, options_); }

int64_t ConvTranspose2d::macs(const Shape& input, const Shape& /*output*/) const {
  return input.numel() * (weight.numel() / weight.size(0));
}

}  // namespace dnn
