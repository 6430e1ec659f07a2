// The loader: an order of the samples, a ring of batches, and the threads that fill them.
#include "dnn/data/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "data/resident.h"
#include "dnn/autograd.h"
#include "dnn/error.h"

namespace dnn {

// One epoch: a ring of slots through which batches pass in order. A slot is allocated by the consumer, filled by a
// worker, and taken by the consumer, which then allocates the slot anew for a later batch. Without workers the consumer
// fills the slot itself when it takes it. A resident data set needs none of that.
class DataLoader::Iterator::Epoch {
 public:
  Epoch(SharedDataset dataset, std::shared_ptr<const detail::ResidentData> resident, const LoaderOptions& options,
        int64_t epoch, int64_t first_batch, int64_t end_batch);
  ~Epoch() { stop_workers(); }
  Epoch(const Epoch&) = delete;
  Epoch& operator=(const Epoch&) = delete;

  Batch& current() { return current_; }
  bool at_end() const { return position_ == end_; }
  void advance();

 private:
  struct Slot {
    Batch batch;
    std::exception_ptr error;
    bool filled = false;
  };

  Slot& slot(int64_t batch) { return slots_[static_cast<size_t>(batch) % slots_.size()]; }
  std::span<const int64_t> indices(int64_t batch) const;
  Batch take();
  Batch take_resident();
  void load();
  void schedule();
  void transform(Batch& batch, int64_t number) const;
  void fill(int64_t batch);
  void work(const std::stop_token& stop);
  void stop_workers();

  const SharedDataset dataset_;
  const std::shared_ptr<const detail::ResidentData> resident_;
  const LoaderOptions options_;
  const Pass pass_;
  const std::vector<int64_t> order_;
  Tensor resident_order_;  // on the device
  std::shared_ptr<const Generator> resident_generator_;
  const int64_t end_;
  int64_t position_;  // of the consumer
  Batch current_;

  std::mutex mutex_;  // guards what follows, except that a slot being filled belongs to its worker
  std::condition_variable_any to_fill_, filled_;
  std::vector<Slot> slots_;
  int64_t scheduled_;                  // batches before this one have a slot
  int64_t taken_;                      // batches before this one have a worker
  std::vector<std::jthread> workers_;  // last, so that they end first
};

namespace {

size_t slot_count(const LoaderOptions& options, int64_t batches) {
  const int64_t wanted = options.threads == 0 ? 1 : int64_t{options.threads} * options.prefetch;
  return static_cast<size_t>(std::clamp<int64_t>(batches, 1, wanted));
}

}  // namespace

DataLoader::Iterator::Epoch::Epoch(SharedDataset dataset, std::shared_ptr<const detail::ResidentData> resident,
                                   const LoaderOptions& options, int64_t epoch, int64_t first_batch, int64_t end_batch)
    : dataset_(std::move(dataset)),
      resident_(std::move(resident)),
      options_(options),
      pass_{options.seed, epoch},
      order_(detail::order_of(pass_, dataset_->size(), options.shuffle)),
      end_(end_batch),
      position_(first_batch),
      slots_(slot_count(options, end_batch - first_batch)),
      scheduled_(first_batch),
      taken_(first_batch) {
  if (resident_) {
    resident_order_ = resident_->order(order_).to(options_.device);
    resident_generator_ = std::make_shared<Generator>(detail::ResidentData::generator(pass_));
    load();
    return;
  }
  const int64_t ahead = std::min(std::ssize(slots_), end_ - position_);
  for (int64_t i = 0; i < ahead; ++i) schedule();
  for (int64_t i = 0; i < std::min<int64_t>(options_.threads, ahead); ++i) {
    workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
  load();
}

// Asks all workers to stop before it waits for the first.
void DataLoader::Iterator::Epoch::stop_workers() {
  for (std::jthread& worker : workers_) worker.request_stop();
  workers_.clear();
}

std::span<const int64_t> DataLoader::Iterator::Epoch::indices(int64_t batch) const {
  const int64_t begin = batch * options_.batch_size;
  const int64_t count = std::min(options_.batch_size, std::ssize(order_) - begin);
  return std::span(order_).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
}

// Gives the next batch that has none a slot.
void DataLoader::Iterator::Epoch::schedule() {
  Slot fresh;
  fresh.batch = dataset_->allocate(std::ssize(indices(scheduled_)));
  {
    const std::lock_guard lock(mutex_);
    slot(scheduled_++) = std::move(fresh);
  }
  to_fill_.notify_one();
}

void DataLoader::Iterator::Epoch::transform(Batch& batch, int64_t number) const {
  if (options_.batch_transforms.empty()) return;
  Generator generator = pass_.batch_generator(number);
  const detail::GeneratorScope scope(pass_.nested().batch_generator(number));
  for (const BatchTransform& function : options_.batch_transforms) function(batch, generator);
}

void DataLoader::Iterator::Epoch::fill(int64_t batch) {
  Slot& target = slot(batch);
  try {
    const NoGrad no_grad;
    dataset_->gather(indices(batch), pass_, target.batch);
    transform(target.batch, batch);
  } catch (...) {
    target.error = std::current_exception();
  }
}

void DataLoader::Iterator::Epoch::work(const std::stop_token& stop) {
  while (true) {
    int64_t batch;
    {
      std::unique_lock lock(mutex_);
      if (!to_fill_.wait(lock, stop, [&] { return taken_ < scheduled_; })) return;
      if (stop.stop_requested()) return;
      batch = taken_++;
    }
    fill(batch);
    {
      const std::lock_guard lock(mutex_);
      slot(batch).filled = true;
    }
    filled_.notify_one();
  }
}

// The batch at the consumer's position, out of its slot.
Batch DataLoader::Iterator::Epoch::take() {
  if (workers_.empty()) fill(position_);
  std::unique_lock lock(mutex_);
  if (!workers_.empty()) filled_.wait(lock, [&] { return slot(position_).filled; });
  Slot taken = std::exchange(slot(position_), {});
  lock.unlock();
  if (taken.error) std::rethrow_exception(taken.error);
  return std::move(taken.batch);
}

// The batch at the consumer's position, made on the device.
Batch DataLoader::Iterator::Epoch::take_resident() {
  const NoGrad no_grad;
  const int64_t begin = position_ * options_.batch_size;
  const int64_t end = std::min(begin + options_.batch_size, std::ssize(order_));
  Batch batch = resident_->batch(resident_order_.slice(0, begin, end), resident_generator_);
  transform(batch, position_);
  return batch;
}

// Makes the batch at the consumer's position the current one and lets the workers go on with a later one.
void DataLoader::Iterator::Epoch::load() {
  if (at_end()) return;
  try {
    if (resident_) {
      current_ = take_resident();
      return;
    }
    current_ = take();
    if (!options_.device.is_cpu()) {
      current_ = {current_.input.to(options_.device), current_.target.to(options_.device)};
    }
    if (scheduled_ < end_) schedule();
  } catch (...) {
    stop_workers();
    position_ = end_;
    throw;
  }
}

void DataLoader::Iterator::Epoch::advance() {
  if (at_end()) return;
  current_ = {};  // its memory is the next one's
  ++position_;
  load();
}

DataLoader::Iterator::Iterator(std::unique_ptr<Epoch> epoch) : epoch_(std::move(epoch)) {}
DataLoader::Iterator::Iterator(Iterator&&) noexcept = default;
DataLoader::Iterator& DataLoader::Iterator::operator=(Iterator&&) noexcept = default;
DataLoader::Iterator::~Iterator() = default;
Batch& DataLoader::Iterator::operator*() const { return epoch_->current(); }
bool DataLoader::Iterator::at_end() const { return epoch_->at_end(); }
DataLoader::Iterator& DataLoader::Iterator::operator++() {
  epoch_->advance();
  return *this;
}

DataLoader::DataLoader(SharedDataset dataset, const LoaderOptions& options)
    : dataset_(std::move(dataset)), options_(options) {
  const int64_t samples = dataset_->size();
  if (samples < 1) throw ArgumentError(fmt::format("DataLoader: the data set is empty ({})", dataset_->name()));
  if (options.batch_size < 1) {
    throw ArgumentError(fmt::format("DataLoader: batch_size is {}, expected 1 or more", options.batch_size));
  }
  if (options.threads < 0) {
    throw ArgumentError(fmt::format("DataLoader: threads is {}, expected 0 or more", options.threads));
  }
  if (options.threads > 0 && options.prefetch < 1) {
    throw ArgumentError(fmt::format("DataLoader: prefetch is {}, expected 1 or more", options.prefetch));
  }
  if (!std::ranges::all_of(options.batch_transforms, [](const auto& t) { return static_cast<bool>(t); })) {
    throw ArgumentError("DataLoader: a batch transform is an empty function");
  }
  if (size() == 0) {
    throw ArgumentError(
        fmt::format("DataLoader: drop_last leaves no batch ({} samples, batch_size {})", samples, options.batch_size));
  }
  if (options.resident) {
    resident_ = std::make_shared<const detail::ResidentData>(dataset_, options.device, options.augment);
  } else if (options.augment != AugmentOptions{}) {
    throw ArgumentError(fmt::format("DataLoader: augment is done where a data set is resident, expected resident ({})",
                                    dataset_->name()));
  }
}

int64_t DataLoader::size() const {
  const int64_t samples = dataset_->size();
  const bool partial = samples % options_.batch_size != 0 && !options_.drop_last;
  return samples / options_.batch_size + (partial ? 1 : 0);
}

void DataLoader::set_epoch(int64_t epoch, int64_t first_batch) {
  if (epoch < 0 || first_batch < 0 || first_batch > size()) {
    throw ArgumentError(
        fmt::format("set_epoch: there is no batch {} of epoch {} ({} batches)", first_batch, epoch, size()));
  }
  epoch_ = epoch;
  first_batch_ = first_batch;
}

DataLoader::Iterator DataLoader::begin() {
  Iterator iterator(std::make_unique<Iterator::Epoch>(dataset_, resident_, options_, epoch_, first_batch_, size()));
  ++epoch_;
  first_batch_ = 0;
  return iterator;
}

}  // namespace dnn
