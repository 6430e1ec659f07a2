// JPEG through libjpeg-turbo.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "data/pixels.h"
#include "dnn/data/image.h"

namespace dnn::detail {

bool is_jpeg(std::span<const std::byte> bytes);
// Delivers gray or RGB. Throws FormatError whose text begins with `name`.
Pixels decode_jpeg(std::span<const std::byte> bytes, const ImageOptions& options, const std::string& name);

}  // namespace dnn::detail
