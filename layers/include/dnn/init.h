// Initial weights. All numbers are drawn on the CPU, from the default generator, and copied to where the tensor lies:
// one seed gives one net on every device. Random ones can be left out where they are not needed:
//
//   NoInit no_init;
//   VGG net = vgg16();  // of zeros, in no time
//   net.load_state_dict(state);
#pragma once

#include <cstdint>

#include "dnn/tensor.h"

namespace dnn {

/// While it lives, the random initialisers of this thread write zeros and draw nothing: for networks whose weights are
/// loaded, or that are only counted.
class NoInit {
 public:
  /// From here on, whatever is made.
  NoInit();
  /// Layers that are made while it lives may have `most` weights altogether, as many as are in a file that is not to be
  /// trusted: the constructor of the layer that goes beyond throws ArgumentError before it takes memory.
  explicit NoInit(int64_t most);
  ~NoInit();
  NoInit(const NoInit&) = delete;
  NoInit& operator=(const NoInit&) = delete;

 private:
  bool before_;
  int64_t left_before_;
};

/// Overwrites a tensor with uniform numbers in [low, high). Throws DTypeError unless floating.
void uniform_(const Tensor& t, double low = 0, double high = 1);
/// Overwrites a tensor with normal numbers. Throws DTypeError unless floating.
void normal_(const Tensor& t, double mean = 0, double deviation = 1);

/// Overwrites a tensor with normal numbers of which those outside of [low, high] are drawn again: as PyTorch's, the
/// bounds are numbers and not multiples of the deviation. Throws ArgumentError unless low < high and the deviation is
/// positive, DTypeError unless floating.
void trunc_normal_(const Tensor& t, double mean = 0, double deviation = 1, double low = -2, double high = 2);
/// Overwrites every element with one number.
void constant_(const Tensor& t, double value);
/// Overwrites every element with 0.
void zeros_(const Tensor& t);
/// Overwrites every element with 1.
void ones_(const Tensor& t);

/// What follows a weight.
enum class Nonlinearity { linear, sigmoid, tanh, relu, leaky_relu, selu };
/// The factor that keeps the variance through a nonlinearity: 1, for tanh 5/3, ReLU sqrt(2), leaky ReLU of slope `a`
/// sqrt(2 / (1 + a^2)), SELU 3/4.
double calculate_gain(Nonlinearity nonlinearity, double a = 0.01);

/// Which side of a weight [out, in, ...] keeps its variance.
enum class Fan { in, out };

/// Options of the Kaiming initialisers.
struct KaimingOptions {
  double a = 0;        ///< Slope of the leaky ReLU that follows; 0 is ReLU.
  Fan mode = Fan::in;  ///< in: the forward pass keeps its variance; out: the backward pass.
  Nonlinearity nonlinearity = Nonlinearity::leaky_relu;  ///< What follows; `a` is for leaky ReLU alone.
};

/// Uniform in +-gain sqrt(3 / fan), with leaky ReLU's gain sqrt(2 / (1 + a^2)) by default (He et al., "Delving deep
/// into rectifiers", ICCV 2015) for a weight [out, in] or [out, in, h, w]. Throws ShapeError below two dimensions.
void kaiming_uniform_(const Tensor& t, const KaimingOptions& options = {});
/// Normal of variance gain^2 / fan; like `kaiming_uniform_`.
void kaiming_normal_(const Tensor& t, const KaimingOptions& options = {});
/// Uniform in +-gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, "Understanding the difficulty of training deep
/// feedforward neural networks", AISTATS 2010). Throws ShapeError below two dimensions.
void xavier_uniform_(const Tensor& t, double gain = 1);
/// Normal of variance gain^2 2 / (fan_in + fan_out); like `xavier_uniform_`.
void xavier_normal_(const Tensor& t, double gain = 1);

/// A random matrix with orthonormal rows or columns, whichever are fewer, times `gain` (Saxe et al., "Exact solutions
/// to the nonlinear dynamics of learning in deep linear neural networks", ICLR 2014); [out, in, h, w] counts as [out,
/// in h w]. Computed in float64. Throws ShapeError below two dimensions, DTypeError unless floating.
void orthogonal_(const Tensor& t, double gain = 1);
/// The convolution weight [out, in, ...] that hands its input on: 1 at the middle tap from channel i to channel i, in
/// each of `groups`. Throws ShapeError unless the rank is 3 to 5, ArgumentError unless `groups` divides out.
void dirac_(const Tensor& t, int64_t groups = 1);

}  // namespace dnn
