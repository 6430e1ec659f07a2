// Augmentation of batches of images: bytes become numbers in a random window, all in one kernel.
#pragma once

#include <memory>
#include <vector>

#include "dnn/ops/conv.h"
#include "dnn/random.h"
#include "dnn/tensor.h"

namespace dnn {

/// Options of `augment_images`.
struct AugmentOptions {
  Size2 size = 0;                     ///< Of the window that is cut out at a random place; 0: of the image.
  Size2 padding = 0;                  ///< Pixels around the image that the window may reach into.
  bool reflect = false;               ///< These are the image mirrored at its outermost pixels; otherwise zeros.
  double flip = 0;                    ///< Probability of mirroring left and right.
  std::vector<float> mean = {};       ///< Of each channel, for pixels in [0, 1]; empty: 0.
  std::vector<float> deviation = {};  ///< Of each channel; empty: 1.
  DType dtype = DType::float32;       ///< Of the result.
  friend bool operator==(const AugmentOptions&, const AugmentOptions&) = default;
};

/// Images uint8 [n, c, h, w] as numbers [n, c, size.h, size.w]: of each a window at a random place, perhaps mirrored,
/// with bytes b as (b / 255 - mean) / deviation, and 0 where padding is zeros. What happens to image i depends on the
/// default generator and on i alone: not on device, size of the batch or threads. The result has the layout that
/// convolutions of its device want. No gradient. Throws ShapeError, DTypeError, ArgumentError.
Tensor augment_images(const Tensor& images, const AugmentOptions& options = {});
/// The same for the images at the indices int64 [m], which may be few of many: [m, c, size.h, size.w]. What happens to
/// an image depends on the generator and on its index. Throws IndexError, on a GPU at the next wait.
Tensor augment_images(const Tensor& images, const Tensor& indices, const AugmentOptions& options = {});
/// The same with a generator of one's own, which a captured step (dnn/capture.h) cannot repeat.
Tensor augment_images(const Tensor& images, const Tensor& indices, const AugmentOptions& options, Generator& generator);
/// The same with the numbers that a generator would give next, which stays as it is. A captured step keeps it, and each
/// repetition looks at the state that it has by then. Throws ArgumentError for a null pointer.
Tensor augment_images(const Tensor& images, const Tensor& indices, const AugmentOptions& options,
                      const std::shared_ptr<const Generator>& generator);

}  // namespace dnn
