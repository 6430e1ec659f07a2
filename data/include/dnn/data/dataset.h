// Data sets: numbered samples, each an input and a target, that a DataLoader makes batches of.
//
// A data set has no state that changes: a sample depends on its index and, where it is augmented, on the seed and the
// epoch (`Pass`) alone, so any number of threads may read it and every run with one seed sees the same numbers.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "dnn/random.h"
#include "dnn/tensor.h"

namespace dnn {

/// One entry of a data set.
struct Sample {
  Tensor input;   ///< For an image [c, h, w].
  Tensor target;  ///< For a class its number, int64 [].
};

/// Samples one behind the other along a new first dimension.
struct Batch {
  Tensor input;   ///< For images [n, c, h, w].
  Tensor target;  ///< For classes their numbers, int64 [n].
};

/// One pass over a data set: all that its random choices depend on, besides the index of a sample.
struct Pass {
  uint64_t seed = 0;
  int64_t epoch = 0;

  /// The generator of one sample's random choices.
  Generator generator(int64_t index) const;
  /// What random operations (`randn`, `dropout`, ...) draw from while one sample is made: in transforms, and in
  /// `Dataset::get` within a batch, it takes the place of `dnn::default_generator()`.
  Generator default_generator(int64_t index) const;
  /// The generator of the random choices of a whole batch.
  Generator batch_generator(int64_t batch) const;
  /// The indices 0 ... n-1 in random order (Fisher and Yates, with Philox).
  std::vector<int64_t> permutation(int64_t n) const;
  /// The pass to hand to a data set inside a data set, whose random choices are to be independent; each number has its
  /// own.
  Pass nested(uint64_t which = 0) const;
};

/// Numbered samples. Deriving classes implement `size`, `name` and `get`; `allocate` and `gather` are for those that
/// have a faster way than sample by sample.
class Dataset {
 public:
  virtual ~Dataset() = default;

  /// Number of samples.
  virtual int64_t size() const = 0;
  /// What it is, for logs: "mnist".
  virtual std::string name() const = 0;
  /// The names of the classes; empty when the targets are not classes.
  virtual std::vector<std::string> class_names() const { return {}; }
  /// One sample; throws IndexError when the index is out of range. Called from many threads at once.
  virtual Sample get(int64_t index, const Pass& pass) const = 0;

  /// Tensors for a batch of that many samples, or undefined ones when their shapes are known only after loading.
  virtual Batch allocate(int64_t count) const;
  /// Loads samples into a batch from `allocate(indices.size())`, or into an empty one. Throws ShapeError or DTypeError
  /// when they are not alike, DeviceError for one on a GPU, ArgumentError when the batch does not fit them, and what
  /// `get` throws. Called from many threads at once.
  virtual void gather(std::span<const int64_t> indices, const Pass& pass, Batch& batch) const;

  /// The samples of these indices as a batch.
  Batch batch(std::span<const int64_t> indices, const Pass& pass = {}) const;

 protected:
  Dataset() = default;
  Dataset(const Dataset&) = default;
  Dataset(Dataset&&) = default;
  Dataset& operator=(const Dataset&) = default;
  Dataset& operator=(Dataset&&) = default;
  /// Throws IndexError unless 0 <= index < size().
  void check_index(int64_t index) const;
};

/// Shared ownership of a data set: whoever takes one can be given the data set itself (copies of the built-in ones
/// share their memory) or a shared pointer.
class SharedDataset {
 public:
  template <class D>
  requires(std::derived_from<D, Dataset> && !std::is_abstract_v<D>) SharedDataset(D dataset)
      : dataset_(std::make_shared<const D>(std::move(dataset))) {}
  /// Throws ArgumentError for a null pointer.
  template <std::derived_from<Dataset> D>
  SharedDataset(std::shared_ptr<D> dataset) : dataset_(checked(std::move(dataset))) {}

  const Dataset& operator*() const { return *dataset_; }
  const Dataset* operator->() const { return dataset_.get(); }

 private:
  static std::shared_ptr<const Dataset> checked(std::shared_ptr<const Dataset> dataset);

  std::shared_ptr<const Dataset> dataset_;
};

/// The rows of two tensors: inputs [n, ...] and targets [n, ...] of any element types.
class TensorDataset : public Dataset {
 public:
  /// Keeps the tensors, not copies, if they are contiguous. Throws ShapeError when there is no first dimension or the
  /// numbers of rows differ, DeviceError unless both are on the CPU.
  TensorDataset(Tensor inputs, Tensor targets, std::string name = "tensors");

  int64_t size() const override { return inputs_.size(0); }
  std::string name() const override { return name_; }
  Sample get(int64_t index, const Pass& pass) const override;
  Batch allocate(int64_t count) const override;
  void gather(std::span<const int64_t> indices, const Pass& pass, Batch& batch) const override;

  /// All inputs [n, ...].
  const Tensor& inputs() const { return inputs_; }
  /// All targets [n, ...].
  const Tensor& targets() const { return targets_; }

 private:
  Tensor inputs_, targets_;
  std::string name_;
};

}  // namespace dnn
