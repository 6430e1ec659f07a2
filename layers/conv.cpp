// The convolution layer.
#include "dnn/layers/conv.h"

#include <cmath>

#include "dnn/init.h"
#include "dnn/ops/factory.h"
#include "layers/text.h"

namespace dnn {

using detail::text_of;

Conv2d::Conv2d(int64_t in, int64_t out, const ConvLayerOptions& options) : in_(in), options_(options) {
  if (in < 1 || out < 1)
    throw ArgumentError(fmt::format("Conv2d: in is {} and out is {}, expected both at least 1", in, out));
  const auto check = [](const char* name, Size2 size, int64_t least) {
    if (size.h < least || size.w < least)
      throw ArgumentError(fmt::format("Conv2d: {} is {}, expected at least {}", name, text_of(size), least));
  };
  check("kernel", options.kernel, 1);
  check("stride", options.stride, 1);
  check("padding", options.padding, 0);
  check("dilation", options.dilation, 1);
  if (options.groups < 1 || in % options.groups != 0 || out % options.groups != 0)
    throw ArgumentError(fmt::format("Conv2d: groups is {}, expected a divisor of both channel counts (in {}, out {})",
                                    options.groups, in, out));
  weight = Parameter(empty({out, in / options.groups, options.kernel.h, options.kernel.w}));
  kaiming_uniform_(weight, {.a = std::sqrt(5.0)});
  if (!options.bias) return;
  bias = Parameter(empty({out}));
  const int64_t fan = weight.numel() / out;
  const double bound = 1 / std::sqrt(static_cast<double>(fan));
  uniform_(bias, -bound, bound);
}

Tensor Conv2d::convolve(const Tensor& x, const Tensor& weight, const Tensor& bias, const Epilogue& epilogue) const {
  return conv2d(x, weight, bias,
                {.stride = options_.stride,
                 .padding = options_.padding,
                 .dilation = options_.dilation,
                 .groups = options_.groups,
                 .activation = epilogue.activation(),
                 .add = epilogue.add});
}

std::string Conv2d::describe() const {
  std::string text = fmt::format("{}, {}, kernel={}", in_, weight.size(0), text_of(options_.kernel));
  if (options_.stride != Size2(1)) text += ", stride=" + text_of(options_.stride);
  if (options_.padding != Size2(0)) text += ", padding=" + text_of(options_.padding);
  if (options_.dilation != Size2(1)) text += ", dilation=" + text_of(options_.dilation);
  if (options_.groups != 1) text += fmt::format(", groups={}", options_.groups);
  if (!bias.defined()) text += ", bias=false";
  return text;
}

}  // namespace dnn
