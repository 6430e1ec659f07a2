// Averaged weights, which often classify better than the last ones.
#pragma once

#include <vector>

#include "dnn/state_dict.h"
#include "dnn/tensor.h"

namespace dnn {

/// Options of `Ema`.
struct EmaOptions {
  double decay = 0.999;  ///< Share of the average that stays in an update.
};

/// The exponential moving average of a network's weights (Polyak & Juditsky, "Acceleration of stochastic approximation
/// by averaging", 1992). Floating tensors are averaged, others, such as counters, copied.
///
///   Ema ema(net.state_dict());
///   for (...) { sgd.step(); ema.update(); }
///   ema.swap(), trainer.evaluate(test), ema.swap();
class Ema {
 public:
  /// Begins with a copy of the tensors; one that has several names, a tied weight, has one average. Throws
  /// ArgumentError unless 0 <= decay < 1.
  explicit Ema(const StateDict& tensors, const EmaOptions& options = {});

  /// average = decay * average + (1 - decay) * tensor.
  void update();
  /// Exchanges the elements of the tensors and of the averages; a second call puts them back.
  void swap();
  /// The averages, under the names of the tensors; shares memory with this.
  const StateDict& state_dict() const { return averages_; }
  /// Goes on with the averages of another one. Throws ArgumentError for a missing or unexpected name or a wrong shape;
  /// then nothing has changed.
  void load_state_dict(const StateDict& state);

 private:
  struct Pair {
    Tensor tensor, average;
  };
  std::vector<Pair> pairs_;  // one for each tensor, which may have several names
  StateDict averages_;
  double decay_;
};

}  // namespace dnn
