// Applying transforms to a sample.
#include "dnn/data/transform.h"

#include <algorithm>

#include "dnn/error.h"

namespace dnn {

TransformedDataset::TransformedDataset(SharedDataset dataset, std::vector<Transform> transforms)
    : dataset_(std::move(dataset)), transforms_(std::move(transforms)) {
  if (!std::ranges::all_of(transforms_, [](const Transform& t) { return static_cast<bool>(t); })) {
    throw ArgumentError("TransformedDataset: a transform is an empty function");
  }
}

Sample TransformedDataset::get(int64_t index, const Pass& pass) const {
  Sample sample = dataset_->get(index, pass.nested());
  Generator generator = pass.generator(index);
  const detail::GeneratorScope scope(pass.default_generator(index));
  for (const Transform& transform : transforms_) transform(sample, generator);
  return sample;
}

}  // namespace dnn
