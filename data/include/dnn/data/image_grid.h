// Many small images as one large one, to look at.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dnn/tensor.h"

namespace dnn {

/// Options of `image_grid`.
struct ImageGridOptions {
  /// How numbers become brightness: as they are, 0 being black and 1 white, or so that the least and the largest one of
  /// all images, or of each, are black and white.
  enum Stretch { none, all, each };

  int64_t columns = 8;                   ///< Images in a row.
  int64_t padding = 2;                   ///< Pixels between images and around them.
  double background = 0;                 ///< What lies between them, 0 to 1.
  Stretch stretch = none;                ///< See there.
  int64_t scale = 1;                     ///< Each pixel becomes a square of this side.
  std::vector<std::string> titles = {};  ///< A line of ASCII above each image; empty: no titles.
  int64_t title_scale = 1;               ///< Size of the letters: 1 is nine pixels high.
};

/// Images [n, c, h, w] with one channel (gray) or three (red, green, blue), of uint8 or floating, row by row in a grid:
/// uint8 [3, height, width], as `save_png` takes it. NaN is black. Throws ShapeError, DTypeError, ArgumentError for an
/// option out of range or another number of titles than images.
Tensor image_grid(const Tensor& images, const ImageGridOptions& options = {});

}  // namespace dnn
