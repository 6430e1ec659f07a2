// The arithmetic of a training run, for the time of its forward and backward passes.
#pragma once

#include <optional>

#include "dnn/precision.h"
#include "dnn/tensor.h"

namespace dnn {

// While it lives, this thread casts to the precision's 16 bits, or all products of the process are of TF32.
class PrecisionScope {
 public:
  explicit PrecisionScope(Arithmetic precision) {
    if (autocast_dtype(precision) != DType::float32) autocast_.emplace(autocast_dtype(precision));
    if (precision != Arithmetic::tf32) return;
    before_ = tf32_allowed();
    allow_tf32({.convolution = true, .product = true});
  }
  ~PrecisionScope() {
    if (before_) allow_tf32(*before_);
  }
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  std::optional<Autocast> autocast_;
  std::optional<Tf32> before_;
};

// An output in a type that everybody reads: float32 instead of 16 bits that the precision has brought.
inline Tensor readable(const Tensor& output, Arithmetic precision) {
  return autocast_dtype(precision) == output.dtype() ? output.to(DType::float32) : output;
}

}  // namespace dnn
