// The IDX format of the MNIST files.
//
// Two zero bytes, a type code, the rank, the sizes as big-endian 32-bit words, then the elements, big endian.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "dnn/tensor.h"

namespace dnn {

/// Reads an IDX file, raw or compressed by gzip (told by its first bytes, not by its name): uint8, int32, float32 and
/// float64 as they are, int8 and int16 widened to int32. Throws FormatError for anything but one whole IDX file,
/// IoError when it cannot be read. Memory is bounded by the bytes that are there, not by the sizes that the file
/// claims.
Tensor read_idx(const std::string& path);

/// The same from bytes in memory; errors call them `name`.
Tensor parse_idx(std::span<const std::byte> bytes, const std::string& name = "bytes");

}  // namespace dnn
