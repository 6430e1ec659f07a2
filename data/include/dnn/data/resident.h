// The batches of a data set that stays on a GPU, by their numbers, for steps that make their own.
//
// A loader makes a batch before the step that takes it, and a captured step (dnn/capture.h) then copies it to where its
// graph reads. A step that makes the batch itself needs neither: its graph asks for the number alone. `Trainer` does so
// by itself; a loop of one's own:
//
//   ResidentBatches batches(loader);
//   int64_t number = 0;
//   auto step = capture([&] {
//     const auto [images, labels] = batches.make([&] { return number; });
//     ...
//   }, {.device = Device::cuda(), .mode = [&] { return batches.samples(number); }});
//   batches.begin(epoch);
//   for (number = 0; number < batches.count(); ++number) step();
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "dnn/data/loader.h"

namespace dnn {

/// The batches of one epoch of a resident loader, in any order and as often as they are asked for.
class ResidentBatches {
 public:
  /// Shares the loader's data. Throws ArgumentError unless the loader is resident and has no transforms of batches,
  /// whose random numbers a graph cannot repeat.
  explicit ResidentBatches(const DataLoader& loader);
  ~ResidentBatches();
  ResidentBatches(ResidentBatches&&) noexcept;
  ResidentBatches& operator=(ResidentBatches&&) noexcept;

  /// Chooses the epoch, from 0; at first 0. Sends the order of its samples to the device; captured steps stay valid.
  /// Throws ArgumentError for a negative number.
  void begin(int64_t epoch);
  /// Number of batches of an epoch.
  int64_t count() const;
  /// Samples of that batch. Throws ArgumentError for a number that there is not.
  int64_t samples(int64_t batch) const;
  /// That batch of the epoch. Throws ArgumentError for a number that there is not.
  Batch make(int64_t number) const;
  /// Batch `number()` of the epoch, in each repetition of a captured step the one that `number` says then, of the same
  /// size. The step keeps `number`, which is asked any number of times. Throws ArgumentError for an empty function, a
  /// number that there is not, or, in a repetition, a batch of another size.
  Batch make(const std::function<int64_t()>& number) const;

 private:
  class State;
  std::shared_ptr<State> state_;  // captured steps keep it
};

}  // namespace dnn
