// The elements of tensors as bytes, for moving whole rows of any element type.
#pragma once

#include <cstddef>
#include <string>

#include "dnn/tensor.h"

namespace dnn::detail {

// Pointer to the first byte of a tensor on the CPU.
std::byte* bytes_of(const Tensor& tensor);
// Bytes of one entry of the first dimension.
size_t row_bytes(const Tensor& tensor);
// Checks a tensor of the batch that somebody wants loaded: it must be contiguous, on the CPU, of that shape and type.
// Throws ArgumentError.
void check_destination(const Tensor& tensor, const Shape& shape, DType type, const std::string& name);

}  // namespace dnn::detail
