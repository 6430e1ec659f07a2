// How exactly is computed: the switches between speed and the last digits.
#pragma once

#include <string>

#include "dnn/device.h"
#include "dnn/dtype.h"

namespace dnn {

/// While it lives, operations of this thread compute in 16 bits where that is fast and does no harm, as PyTorch's
/// autocast does: a net of float32 is trained on the tensor cores of a GPU, and its weights stay float32.
///
///   Tensor loss;
///   {
///     Autocast autocast(DType::bfloat16);
///     loss = cross_entropy(net(x), y);
///   }
///   loss.backward();
///
/// Convolutions, matmul, bmm, linear, prelu and recurrent layers take their operands in that type and give results of
/// it; exp, log, log1p, expm1, pow, reciprocal, rsqrt, softplus, sum, prod, cumsum, norm, logsumexp, softmax,
/// log_softmax and all losses compute and give float32; everything else has the type of what comes in. A weight is cast
/// once for each version, into a copy that the optimizer renews in passing, and its gradient is of 16 bits (see
/// `Tensor::grad`). float64 stays as it is. On a CPU the operations that would be cast throw DeviceError, since 16 bits
/// are slower there. Backward passes need no scope. With float16 the loss is to be scaled (see GradScaler).
class Autocast {
 public:
  /// bfloat16 or float16; float32 switches casting off within the scope of another one. Throws DTypeError for others.
  explicit Autocast(DType type);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  DType before_;
};

/// The type to which operations of this thread are cast now; float32 outside of any Autocast.
DType autocast_dtype();

/// The arithmetic of a program or a training run in one word.
enum class Arithmetic {
  float32,   ///< All in float32, on a GPU as `allow_tf32` says.
  tf32,      ///< The factors of all products rounded to TF32.
  bfloat16,  ///< Autocast to bfloat16.
  float16,   ///< Autocast to float16, with a scaled loss.
};
/// "float32", "tf32", "bfloat16" or "float16".
const char* name_of(Arithmetic precision);
/// The precision of that name, or of "fp32", "bf16" or "fp16"; throws ArgumentError for any other.
Arithmetic arithmetic_of(const std::string& name);
/// Throws DeviceError unless the device computes in that precision: a CPU does in float32 alone.
void check_precision(Arithmetic precision, Device device);
/// The type for Autocast; float32 when nothing is cast.
DType autocast_dtype(Arithmetic precision);

/// Which float32 work of a GPU may round its factors to TF32, that is to 10 bits of mantissa (the sums stay float32):
/// several times as fast on tensor cores, with relative errors near 1e-3. The defaults are PyTorch's; the CPU never
/// does.
struct Tf32 {
  bool convolution = true;  ///< Convolutions and recurrent layers.
  bool product = false;     ///< Matrix products: linear, matmul.
  friend bool operator==(const Tf32&, const Tf32&) = default;
};

/// Chooses for all work from now on, in every thread.
void allow_tf32(const Tf32& allowed);

/// What is allowed now.
Tf32 tf32_allowed();

/// Whether convolutions of the CPU with filters of 3x3 may be computed by the algorithm of Winograd, in a quarter of
/// the multiplications (Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016), as they are at
/// first: twice as fast on CPUs with AVX-512, with rounding errors about three times as large, and with NaN around an
/// infinity too. For all work from now on, in every thread.
void allow_winograd(bool allowed);

/// Whether it is allowed now.
bool winograd_allowed();

/// Whether convolutions of a GPU may run algorithms that add up in another order each time, so that the last digits of
/// gradients differ from run to run; some of those of weights are faster. At first they may not, unlike in PyTorch (its
/// torch.use_deterministic_algorithms): a program with the plans of an earlier run (dnn/cache.h) computes the same
/// bits, and so does a run that is stopped and resumed. For all work from now on, in every thread.
void allow_nondeterminism(bool allowed);

/// Whether it is allowed now.
bool nondeterminism_allowed();

}  // namespace dnn
