// CIFAR-10 and CIFAR-100: 60,000 colour photographs of 32 x 32 pixels (Krizhevsky, 2009), in the binary version of
// their publisher.
#pragma once

#include <string>

#include "dnn/data/image_dataset.h"

namespace dnn {

/// Options of `Cifar10`.
struct Cifar10Options {
  bool normalize = false;  ///< Mean 0 and deviation 1 of each channel of the training images, instead of [0, 1].
  bool download = true;    ///< Whether files that are not on this machine may be downloaded (170 MB).
};

/// Photographs of 10 classes: 50,000 for training, 10,000 for testing, [3, 32, 32].
///
/// The files data_batch_1.bin to data_batch_5.bin, or test_batch.bin, come from the first of the folders `cifar10`,
/// `cifar-10-batches-bin` and `cifar10/cifar-10-batches-bin` that holds them, below `$DNN_DATA_DIR`, else below the
/// cache (`cache_folder()`, dnn/cache.h); else cifar-10-binary.tar.gz is downloaded, checked and unpacked
/// into the cache by the commands curl, md5sum and tar.
class Cifar10 : public ImageDataset {
 public:
  /// Throws IoError when a file is nowhere and cannot be downloaded, FormatError when one is not what it should be.
  explicit Cifar10(Split split, const Cifar10Options& options = {});

  /// Why a file of either split cannot be had (downloading what is missing if that is allowed); empty when all are
  /// there.
  static std::string why_unavailable(const Cifar10Options& options = {});
  /// Mean and deviation of the training images.
  static Normalization normalization() {
    return {.mean = {0.4914f, 0.4822f, 0.4465f}, .deviation = {0.2470f, 0.2435f, 0.2616f}};
  }
};

/// Options of `Cifar100`.
struct Cifar100Options {
  bool normalize = false;  ///< As in Cifar10Options.
  bool download = true;    ///< As in Cifar10Options.
  bool coarse = false;     ///< The 20 superclasses ("fish"), instead of the 100 classes ("shark").
};

/// Photographs of 100 classes in 20 superclasses: 50,000 for training, 10,000 for testing, [3, 32, 32].
///
/// The files train.bin or test.bin come from `cifar100`, `cifar-100-binary` or `cifar100/cifar-100-binary`, found and
/// downloaded as those of Cifar10 are.
class Cifar100 : public ImageDataset {
 public:
  /// Throws IoError when a file is nowhere and cannot be downloaded, FormatError when one is not what it should be.
  explicit Cifar100(Split split, const Cifar100Options& options = {});

  /// As `Cifar10::why_unavailable`.
  static std::string why_unavailable(const Cifar100Options& options = {});
  /// Mean and deviation of the training images.
  static Normalization normalization() {
    return {.mean = {0.5071f, 0.4865f, 0.4409f}, .deviation = {0.2673f, 0.2564f, 0.2762f}};
  }
};

}  // namespace dnn
