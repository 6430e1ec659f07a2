// The elements of a tensor as bytes, for moving whole rows of any element type.
#pragma once

#include <cstddef>

#include "dnn/tensor.h"

namespace dnn::detail {

// Pointer to the first byte of a tensor on the CPU.
std::byte* bytes_of(const Tensor& tensor);
// Bytes of one entry of the first dimension.
size_t row_bytes(const Tensor& tensor);

}  // namespace dnn::detail
