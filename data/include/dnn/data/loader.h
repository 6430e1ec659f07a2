// DataLoader: the batches of a data set, made ahead by worker threads.
//
//   DataLoader loader(Mnist(Split::train), {.batch_size = 64, .shuffle = true});
//   for (auto& [images, labels] : loader) ...
//
// Batches come in order whatever the number of threads, and are the same with any. The consumer allocates the batches
// and hands them to the workers to be filled, so memory is asked for at the same points of the program in every run.
//
// A data set that fits into the memory of a GPU can stay there, where small nets would otherwise wait for the host:
//
//   DataLoader loader(Cifar10(Split::train), {.batch_size = 128, .shuffle = true, .device = Device::cuda(),
//                                             .resident = true, .augment = {.padding = 4, .flip = 0.5}});
//
// A batch is then one kernel, which gathers the images, shifts and mirrors them at random and normalises them, and one
// more for the targets; the host sends the order of the samples once an epoch. A captured step may make its batches
// itself (dnn/data/resident.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <vector>

#include "dnn/data/dataset.h"
#include "dnn/data/transform.h"
#include "dnn/ops/augment.h"

namespace dnn {

namespace detail {
class ResidentData;
}
class ResidentBatches;

/// Options of `DataLoader`.
struct LoaderOptions {
  int64_t batch_size = 64;
  bool shuffle = false;                               ///< A new order each epoch, from seed and epoch alone.
  uint64_t seed = 0;                                  ///< Of the order and of random transforms.
  int threads = 1;                                    ///< Worker threads; 0: batches are made when they are asked for.
  int prefetch = 2;                                   ///< Batches that each worker may be ahead.
  bool drop_last = false;                             ///< Leave out the last batch if it is not full.
  Device device = Device::cpu();                      ///< Where batches are handed out.
  std::vector<BatchTransform> batch_transforms = {};  ///< Change each batch, one after the other.
  /// Keep the whole data set on the device and make batches there, without threads: a TensorDataset, an ImageDataset
  /// (its bytes), or a Subset of one.
  bool resident = false;
  /// What happens to the images of a resident ImageDataset, by the seed, the epoch and the image's index alone; `mean`
  /// and `deviation` are the data set's where they are empty.
  AugmentOptions augment = {};
};

/// Makes batches of a data set. Each `begin`, that is each range-for, is one epoch, and the next one gets the next
/// number; `set_epoch` chooses another.
class DataLoader {
 public:
  class Iterator;

  /// Throws ArgumentError for an empty data set, a batch size below 1, a negative number of threads, a prefetch below 1
  /// with threads, an empty function as a transform, when drop_last leaves no batch, for a data set that cannot be
  /// resident, or one without images to augment; what `augment_images` throws for its options; OutOfMemory.
  DataLoader(SharedDataset dataset, const LoaderOptions& options = {});

  /// Number of batches of an epoch.
  int64_t size() const;
  /// The data set.
  const Dataset& dataset() const { return *dataset_; }
  /// The options.
  const LoaderOptions& options() const { return options_; }
  /// The number of the epoch that the next `begin` starts.
  int64_t epoch() const { return epoch_; }
  /// Makes the next `begin` start that epoch, at that batch: for going on where an earlier run ended. Throws
  /// ArgumentError for a negative number or a batch beyond the end.
  void set_epoch(int64_t epoch, int64_t first_batch = 0);

  /// Starts an epoch. It ends its workers when it is destroyed, also half-way; the loader may be gone by then.
  Iterator begin();
  /// The end of every epoch.
  std::default_sentinel_t end() const { return {}; }

 private:
  friend class ResidentBatches;
  SharedDataset dataset_;
  LoaderOptions options_;
  std::shared_ptr<const detail::ResidentData> resident_;  // null when it is not
  int64_t epoch_ = 0;
  int64_t first_batch_ = 0;
};

/// The place in an epoch, and its batch. What loading the batch threw, in whatever thread, is thrown where the batch is
/// due: by `begin` or `++`; there is nothing after it.
class DataLoader::Iterator {
 public:
  using value_type = Batch;
  using difference_type = std::ptrdiff_t;
  using iterator_concept = std::input_iterator_tag;

  Iterator(Iterator&&) noexcept;
  Iterator& operator=(Iterator&&) noexcept;
  ~Iterator();

  Batch& operator*() const;
  Batch* operator->() const { return &**this; }
  Iterator& operator++();
  void operator++(int) { ++*this; }
  friend bool operator==(const Iterator& iterator, std::default_sentinel_t) { return iterator.at_end(); }

 private:
  friend class DataLoader;
  class Epoch;
  explicit Iterator(std::unique_ptr<Epoch> epoch);
  bool at_end() const;

  std::unique_ptr<Epoch> epoch_;
};

}  // namespace dnn
