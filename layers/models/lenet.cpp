// The networks of LeCun.
#include "dnn/models/lenet.h"

#include <fmt/format.h>

#include "dnn/init.h"
#include "dnn/layers.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/shape.h"
#include "layers/models/widths.h"

namespace dnn {

namespace {

constexpr ConvLayerOptions every_second{.kernel = 5, .stride = 2, .bias = false};

detail::Widths widths(const LeNet1989Options& options) {
  return detail::Widths("lenet1989", options.width, 12, {4, 30});
}

Tensor squash(const Tensor& x) { return ScaledTanh()(x); }

Tensor with_border(const Tensor& x) { return pad(x, {2, 2, 2, 2}, {.value = -1}); }

// What the thirds of the maps of H2 look at, one after another.
Tensor seen_by_thirds(const Tensor& x) {
  const std::vector<Tensor> third = chunk(x, 3, 1);
  return cat({third[0], third[1], third[1], third[2], third[0], third[2]}, 1);
}

}  // namespace

LeNet1989::LeNet1989(const LeNet1989Options& options)
    : h1(options.channels, widths(options)(12), every_second),
      h2(2 * options.width, options.width, {.kernel = 5, .stride = 2, .groups = 3, .bias = false}),
      h1_bias(zeros({options.width, 8, 8})),
      h2_bias(zeros({options.width, 4, 4})),
      h3(options.width * 4 * 4, widths(options)(30)),
      output(widths(options)(30), options.classes) {
  for (const auto& [name, parameter] : named_parameters()) {
    const double fan_in = static_cast<double>(parameter.numel() / parameter.size(0));
    if (name.ends_with(".weight")) uniform_(parameter, -2.4 / fan_in, 2.4 / fan_in);
    if (name.ends_with(".bias")) zeros_(parameter);
  }
}

Tensor LeNet1989::forward(Tensor x) {
  if (x.shape().rank() != 4 || x.size(2) != 16 || x.size(3) != 16)
    throw ShapeError(fmt::format("lenet1989: input is {}, expected [n, channels, 16, 16]", x.shape().str()));
  x = squash(h1(with_border(x)) + h1_bias);
  x = squash(h2(seen_by_thirds(with_border(x))) + h2_bias);
  x = squash(h3(x.flatten()));
  return squash(output(x));
}

Sequential lenet5(const LeNet5Options& options) {
  if (options.size < 12) throw ArgumentError(fmt::format("lenet5: size is {}, expected at least 12", options.size));
  const detail::Widths wide("lenet5", options.width, 6, {16, 120, 84});
  const int64_t side = (options.size / 2 - 4) / 2;  // of the last images
  return Sequential(Conv2d(options.channels, wide(6), {.kernel = 5, .padding = 2}), ReLU(), MaxPool2d({.kernel = 2}),
                    Conv2d(wide(6), wide(16), {.kernel = 5}), ReLU(), MaxPool2d({.kernel = 2}),  //
                    Flatten(), Linear(wide(16) * side * side, wide(120)), ReLU(),                //
                    Linear(wide(120), wide(84)), ReLU(), Linear(wide(84), options.classes));
}

}  // namespace dnn
