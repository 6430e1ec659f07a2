// Initial weights. All numbers are drawn on the CPU, from the default generator, and copied to where the tensor lies:
// one seed gives one net on every device.
#pragma once

#include "dnn/tensor.h"

namespace dnn {

/// Overwrites a tensor with uniform numbers in [low, high). Throws DTypeError unless floating.
void uniform_(const Tensor& t, double low = 0, double high = 1);
/// Overwrites a tensor with normal numbers. Throws DTypeError unless floating.
void normal_(const Tensor& t, double mean = 0, double deviation = 1);

/// Which side of a weight [out, in, ...] keeps its variance.
enum class Fan { in, out };

/// Options of the Kaiming initialisers.
struct KaimingOptions {
  double a = 0;        ///< Slope of the leaky ReLU that follows; 0 is ReLU.
  Fan mode = Fan::in;  ///< in: the forward pass keeps its variance; out: the backward pass.
};

/// Uniform in +-sqrt(6 / ((1 + a^2) fan)) (He et al., "Delving deep into rectifiers", ICCV 2015) for a weight [out, in]
/// or [out, in, h, w]. Throws ShapeError below two dimensions.
void kaiming_uniform_(const Tensor& t, const KaimingOptions& options = {});
/// Normal of variance 2 / ((1 + a^2) fan); like `kaiming_uniform_`.
void kaiming_normal_(const Tensor& t, const KaimingOptions& options = {});
/// Uniform in +-gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, "Understanding the difficulty of training deep
/// feedforward neural networks", AISTATS 2010). Throws ShapeError below two dimensions.
void xavier_uniform_(const Tensor& t, double gain = 1);
/// Normal of variance gain^2 2 / (fan_in + fan_out); like `xavier_uniform_`.
void xavier_normal_(const Tensor& t, double gain = 1);

}  // namespace dnn
