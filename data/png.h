// PNG through libpng.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "data/pixels.h"
#include "dnn/data/image.h"

namespace dnn::detail {

bool is_png(std::span<const std::byte> bytes);
// Throws FormatError whose text begins with `name`.
Pixels decode_png(std::span<const std::byte> bytes, const ImageOptions& options, const std::string& name);
std::vector<std::byte> encode_png(const Pixels& pixels);

}  // namespace dnn::detail
