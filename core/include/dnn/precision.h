// How exactly a GPU computes in float32.
#pragma once

namespace dnn {

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

}  // namespace dnn
