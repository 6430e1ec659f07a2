// What is done with bytes from outside in the fuzz targets and in the tests of mutated files: one function for each
// format, which parses and looks at all of the result.
//
// Each returns whether the bytes were accepted, that is false for a FormatError. Any other exception comes out; a
// result that does not hold what it says is a std::logic_error.
#pragma once

#include <cstddef>
#include <span>

namespace dnn::test {

bool accepts_cifar(std::span<const std::byte> bytes);
bool accepts_idx(std::span<const std::byte> bytes);
bool accepts_jpeg(std::span<const std::byte> bytes);
bool accepts_png(std::span<const std::byte> bytes);
bool accepts_safetensors(std::span<const std::byte> bytes);

}  // namespace dnn::test
