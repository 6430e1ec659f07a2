// Data sets made of others: parts, and several one behind the other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dnn/data/dataset.h"

namespace dnn {

/// Some samples of a data set, in a chosen order; an index may come more than once. A sample's random choices are those
/// that it has in the whole data set.
class Subset : public Dataset {
 public:
  /// Throws IndexError when an index is out of range.
  Subset(SharedDataset dataset, std::vector<int64_t> indices);

  int64_t size() const override { return std::ssize(indices_); }
  std::string name() const override { return dataset_->name(); }
  std::vector<std::string> class_names() const override { return dataset_->class_names(); }
  Sample get(int64_t index, const Pass& pass) const override;
  Batch allocate(int64_t count) const override { return dataset_->allocate(count); }
  void gather(std::span<const int64_t> indices, const Pass& pass, Batch& batch) const override;

  /// The whole data set.
  const Dataset& whole() const { return *dataset_; }
  /// The indices in the whole data set.
  const std::vector<int64_t>& indices() const { return indices_; }

 private:
  SharedDataset dataset_;
  std::vector<int64_t> indices_;
};

/// Splits a data set at random into parts that share no sample: counts that add up to its size, `{55000, 5000}`, or
/// shares that add up to 1, `{0.9, 0.1}`, where what rounding leaves goes to the first parts, one sample each. Throws
/// ArgumentError for parts that do not add up.
std::vector<Subset> random_split(const SharedDataset& dataset, const std::vector<Scalar>& parts, uint64_t seed = 0);

/// Data sets one behind the other. Their samples must be alike to share a batch.
class ConcatDataset : public Dataset {
 public:
  /// Throws ArgumentError when there is none, or when their classes differ.
  explicit ConcatDataset(std::vector<SharedDataset> datasets);

  int64_t size() const override { return ends_.back(); }
  /// The names, joined by " + ".
  std::string name() const override;
  std::vector<std::string> class_names() const override { return datasets_.front()->class_names(); }
  Sample get(int64_t index, const Pass& pass) const override;

 private:
  std::vector<SharedDataset> datasets_;
  std::vector<int64_t> ends_;  // of each data set, as indices in the whole
};

}  // namespace dnn
