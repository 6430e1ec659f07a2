// Tensors for weights before their first values.
#pragma once

#include "dnn/tensor.h"

namespace dnn::detail {

// An uninitialised tensor for the weights of a layer. Throws ArgumentError when it has more numbers than NoInit leaves.
Tensor blank(const Shape& shape);

}  // namespace dnn::detail
