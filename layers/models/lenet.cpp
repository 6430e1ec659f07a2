// LeNet-5.
#include "dnn/models/lenet.h"

#include <fmt/format.h>

#include "dnn/layers.h"
#include "layers/models/widths.h"

namespace dnn {

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
