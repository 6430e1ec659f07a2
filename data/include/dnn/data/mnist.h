// MNIST: 70,000 handwritten digits of 28 x 28 pixels (LeCun, Cortes and Burges, 1998).
#pragma once

#include <string>

#include "dnn/data/image_dataset.h"

namespace dnn {

/// Options of `Mnist`.
struct MnistOptions {
  bool normalize = false;  ///< Mean 0 and deviation 1 (0.1307 and 0.3081 of the training images), instead of [0, 1].
  bool download = true;    ///< Whether files that are not on this machine may be downloaded.
};

/// The handwritten digits: 60,000 for training, 10,000 for testing.
///
/// Each of the IDX files, raw or .gz, comes from `$DNN_DATA_DIR/mnist`, else from the cache
/// (`mnist` in `cache_folder()`, dnn/cache.h), else it is downloaded into the cache by the curl command,
/// and checked.
class Mnist : public ImageDataset {
 public:
  /// Throws IoError when a file is nowhere and cannot be downloaded, FormatError when one is not what it should be.
  explicit Mnist(Split split, const MnistOptions& options = {});

  /// Why a file of either split cannot be had (downloading what is missing if that is allowed); empty when all are
  /// there.
  static std::string why_unavailable(const MnistOptions& options = {});
  /// Mean and deviation of the training images.
  static Normalization normalization() { return {.mean = {0.1307f}, .deviation = {0.3081f}}; }
};

/// Options of `digits`.
struct DigitsOptions {
  bool normalize = false;       ///< As in MnistOptions.
  bool download = true;         ///< As in MnistOptions.
  int64_t train_count = 60000;  ///< Synthetic digits for training.
  int64_t test_count = 10000;   ///< Synthetic digits for testing.
};

/// What `digits` found; the name of the data sets tells which it is.
struct Digits {
  ImageDataset train;
  ImageDataset test;
  std::string why_synthetic;  ///< Why they are not MNIST; empty when they are. Show it to the user.
};

/// MNIST, or synthetic digits when it is nowhere and cannot be downloaded. A file that is there but damaged is not
/// replaced: FormatError.
Digits digits(const DigitsOptions& options = {});

}  // namespace dnn
