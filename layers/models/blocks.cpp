// Initial weights of convolutional networks, and the check of their numbers.
#include "layers/models/blocks.h"

#include <fmt/format.h>

#include "dnn/error.h"
#include "dnn/init.h"
#include "dnn/layers/conv.h"

namespace dnn::detail {

int64_t at_least_one(const char* network, const char* name, int64_t number) {
  if (number < 1) throw ArgumentError(fmt::format("{}: {} is {}, expected at least 1", network, name, number));
  return number;
}

void initialize_convolutions(Module& net) {
  for (const auto& [name, module] : net.modules())
    if (auto* conv = dynamic_cast<Conv2d*>(module)) {
      kaiming_normal_(conv->weight, {.mode = Fan::out, .nonlinearity = Nonlinearity::relu});
      if (conv->bias.defined()) zeros_(conv->bias);
    }
}

}  // namespace dnn::detail
