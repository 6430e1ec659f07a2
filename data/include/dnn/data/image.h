// Pictures: JPEG and PNG files read into tensors, tensors written as PNG files.
//
//   Tensor photo = load_image("cat.jpg", {.channels = Channels::rgb});  // uint8 [3, h, w]
//   save_png("cat.png", photo);
//
// Which format it is, the first bytes tell, not the name. A file may have been made by an enemy: sizes are held against
// the bytes that are there before memory is taken, and a damaged or truncated file is a FormatError, never half a
// picture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "dnn/tensor.h"

namespace dnn {

/// The channels that a picture is read with.
enum class Channels {
  stored,  ///< As the file has them: gray, gray and alpha, RGB, or RGBA (a palette is RGB or RGBA; CMYK becomes RGB).
  gray,    ///< One; colours by their luma 0.299 R + 0.587 G + 0.114 B, alpha is dropped.
  rgb,     ///< Three; gray is repeated, alpha is dropped.
};

/// Options of `decode_image` and `load_image`.
struct ImageOptions {
  Channels channels = Channels::stored;
  /// A JPEG is decoded at the smallest n/8 of its size whose sides both have this many pixels, which is much faster
  /// than decoding all and resizing; 0: whole. PNG has no such scaling.
  int64_t min_size = 0;
  /// Turns a JPEG the way its EXIF tag says; without it the picture is as the camera's sensor saw it, as in PyTorch.
  bool exif_orientation = false;
  /// A file that claims more pixels (before scaling) is refused.
  int64_t max_pixels = int64_t{1} << 27;
};

/// A JPEG or PNG in memory as uint8 [c, h, w]; errors call it `name`. 16 bits a channel become 8, gamma and colour
/// profiles are ignored. Throws FormatError for anything but one whole picture within the limits.
Tensor decode_image(std::span<const std::byte> bytes, const ImageOptions& options = {},
                    const std::string& name = "bytes");

/// A JPEG or PNG file as uint8 [c, h, w]. Throws IoError, and FormatError as `decode_image` does.
Tensor load_image(const std::string& path, const ImageOptions& options = {});

/// A PNG file of a picture [c, h, w] with 1, 2, 3 or 4 channels (gray, gray and alpha, RGB, RGBA), in memory. uint8 is
/// stored as it is; floating-point numbers are clamped to [0, 1], where 1 is white and NaN black. Throws ShapeError,
/// DTypeError.
std::vector<std::byte> encode_png(const Tensor& image);

/// Writes the same into a file, atomically (see `write_atomically`). Throws IoError too.
void save_png(const std::string& path, const Tensor& image);

}  // namespace dnn
