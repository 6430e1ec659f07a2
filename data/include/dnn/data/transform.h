// Transforms: changes of a sample, or of a batch, when it is loaded, such as random crops.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dnn/data/dataset.h"

namespace dnn {

/// A change of one sample: any callable value that takes the sample and the generator of its random choices. It is
/// called from many threads at once and must not change itself; it replaces tensors of the sample and leaves the
/// elements of the ones it was given alone.
using Transform = std::function<void(Sample& sample, Generator& generator)>;

/// A change of a whole batch, such as `Mixup`, in LoaderOptions: any callable value that takes the batch and the
/// generator of its random choices, which depends on seed, epoch and the number of the batch alone. It is called from
/// many threads at once and must not change itself.
using BatchTransform = std::function<void(Batch& batch, Generator& generator)>;

/// A data set whose samples go through transforms, one after the other. The random choices of a sample depend on seed,
/// epoch and index alone, also those of operations in them such as `randn` (see `Pass::default_generator`).
class TransformedDataset : public Dataset {
 public:
  /// Throws ArgumentError for an empty function.
  TransformedDataset(SharedDataset dataset, std::vector<Transform> transforms);

  int64_t size() const override { return dataset_->size(); }
  std::string name() const override { return dataset_->name(); }
  std::vector<std::string> class_names() const override { return dataset_->class_names(); }
  Sample get(int64_t index, const Pass& pass) const override;

 private:
  SharedDataset dataset_;
  std::vector<Transform> transforms_;
};

}  // namespace dnn
