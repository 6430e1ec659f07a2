// Clipping of gradients, between `backward` and `step`.
#pragma once

#include <vector>

#include "dnn/tensor.h"

namespace dnn {

/// Options of `clip_grad_norm_`.
struct ClipNormOptions {
  bool infinity_norm = false;       ///< The largest element counts, not the root of the sum of squares.
  bool error_if_nonfinite = false;  ///< Throw when the norm is no finite number; this waits for the device.
};

/// Scales the gradients of all parameters together so that their norm is at most `max_norm` (Pascanu et al., "On the
/// difficulty of training recurrent neural networks", ICML 2013); returns the norm before, float32 (float64 for float64
/// gradients, and for those of several devices) []. Parameters without a gradient do not count. On a GPU this takes
/// three launches, or two when `measure_gradients` gives the factor to `Optimizer::step`. Throws ArgumentError unless
/// max_norm is positive, or for a norm that is not finite if asked to; then nothing has changed.
Tensor clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, const ClipNormOptions& options = {});

/// Limits every element of the gradients to +-`limit`. Throws ArgumentError unless the limit is positive.
void clip_grad_value_(const std::vector<Tensor>& parameters, double limit);

}  // namespace dnn
