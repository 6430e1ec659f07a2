// The layer that gives images a border.
#include "dnn/layers/pad.h"

#include <fmt/format.h>

#include "dnn/ops/shape.h"

namespace dnn {

Tensor ZeroPad2d::forward(Tensor x) { return pad(x, {border_.left, border_.right, border_.top, border_.bottom}); }

std::string ZeroPad2d::describe() const {
  return fmt::format("left={}, right={}, top={}, bottom={}", border_.left, border_.right, border_.top, border_.bottom);
}

}  // namespace dnn
