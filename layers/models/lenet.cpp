// LeNet-5.
#include "dnn/models/lenet.h"

#include "dnn/layers.h"

namespace dnn {

Sequential lenet5(const LeNet5Options& options) {
  return Sequential(Conv2d(options.channels, 6, {.kernel = 5, .padding = 2}), ReLU(), MaxPool2d({.kernel = 2}),
                    Conv2d(6, 16, {.kernel = 5}), ReLU(), MaxPool2d({.kernel = 2}),  //
                    Flatten(), Linear(16 * 5 * 5, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, options.classes));
}

}  // namespace dnn
