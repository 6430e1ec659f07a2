// Digits drawn by a program, for machines without data and without network.
#pragma once

#include "dnn/data/image_dataset.h"

namespace dnn {

/// Options of `SyntheticDigits`.
struct SyntheticDigitsOptions {
  bool normalize = false;  ///< With the mean and deviation of MNIST, instead of [0, 1].
};

/// Digits as MNIST has them, 28 x 28 and centred by mass, drawn from the strokes of several ways to write each digit
/// under random affine and elastic distortion with a pen of changing width. Image i depends on the seed and i alone.
class SyntheticDigits : public ImageDataset {
 public:
  /// Throws ArgumentError for a negative count.
  explicit SyntheticDigits(int64_t count, uint64_t seed = 0, const SyntheticDigitsOptions& options = {});
};

}  // namespace dnn
