// StopOnNaN: ends training at the first loss or gradient that is no finite number, and says where it comes from.
#pragma once

#include <string>

#include "dnn/error.h"
#include "dnn/random.h"
#include "dnn/train/callback.h"

namespace dnn {

/// A number became NaN or infinite.
class NotFiniteError : public Error {
 public:
  using Error::Error;
};

/// Options of `StopOnNaN`.
struct StopOnNaNOptions {
  bool gradients = true;  ///< Whether gradients are looked at too, not only the loss; those of a scaled loss never.
  int64_t every = 1;      ///< Steps between two looks.
};

/// Looks at loss and gradients before each update. When one is not finite it runs the batch once more, with the same
/// random numbers, and throws NotFiniteError out of `fit`: with the first layer, in forward order, whose output is not
/// finite, or else the first parameter, on the way back, whose gradient is not. The weights are those from before the
/// step. A look costs one read of the gradients and, on a GPU, a wait and a step that is not captured: one in a hundred
/// (`every`) is cheap there.
class StopOnNaN : public Callback {
 public:
  /// Throws ArgumentError for `every` below 1.
  explicit StopOnNaN(const StopOnNaNOptions& options = {});

  void on_step_begin(Trainer& trainer) override;
  bool wants_update(const Trainer& trainer) const override;
  /// Throws NotFiniteError.
  void on_update(Trainer& trainer, std::span<const Batch> batches, const Tensor& loss) override;

 private:
  std::string find_cause(Trainer& trainer, std::span<const Batch> batches) const;

  StopOnNaNOptions options_;
  Generator generator_;  // as it was when the step began
};

}  // namespace dnn
