// Transforms of whole batches that mix samples with each other, and their targets alike.
//
//   DataLoader loader(train, {.batch_size = 128, .shuffle = true, .batch_transforms = {Mixup(10, {.alpha = 0.2})}});
//
// Targets become probabilities float32 [n, classes], which `cross_entropy` takes. They may be so before: transforms can
// follow each other. Batches stay on their device; of one that is on a GPU the host waits for the classes. One of two
// by chance is a lambda:
//   [=](Batch& batch, Generator& chance) { chance.uniform() < 0.5 ? mixup(batch, chance) : cutmix(batch, chance); }
#pragma once

#include <cstdint>

#include "dnn/data/transform.h"

namespace dnn {

/// Options of `Mixup` and `CutMix`.
struct MixOptions {
  double alpha = 1;  ///< The first sample's share is drawn from Beta(alpha, alpha), once for each batch; 1: uniform.
  double p = 1;      ///< Probability that a batch is mixed.
};

/// Each sample becomes share * itself + (1 - share) * another one of the batch, by a random permutation (Zhang et al.,
/// "mixup: beyond empirical risk minimization", ICLR 2018). Inputs are float32 [n, ...], targets classes [n] or
/// probabilities [n, classes]. Throws ShapeError, DTypeError, DeviceError, IndexError for a class out of range,
/// ArgumentError for an option out of range.
class Mixup {
 public:
  explicit Mixup(int64_t classes, MixOptions options = {});
  void operator()(Batch& batch, Generator& generator) const;

 private:
  int64_t classes_;
  MixOptions options_;
};

/// A rectangle of each image is replaced by that of another one of the batch, by a random permutation; targets are
/// mixed by area (Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features",
/// ICCV 2019). Inputs are float32 [n, c, h, w]; otherwise as `Mixup`.
class CutMix {
 public:
  explicit CutMix(int64_t classes, MixOptions options = {});
  void operator()(Batch& batch, Generator& generator) const;

 private:
  int64_t classes_;
  MixOptions options_;
};

}  // namespace dnn
