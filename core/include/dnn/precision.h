// How exactly float32 is computed: the switches between speed and the last digits.
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

/// Whether convolutions of the CPU with filters of 3x3 may be computed by the algorithm of Winograd, in a quarter of
/// the multiplications (Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016), as they are at
/// first: twice as fast on CPUs with AVX-512, with rounding errors about three times as large, and with NaN around an
/// infinity too. For all work from now on, in every thread.
void allow_winograd(bool allowed);

/// Whether it is allowed now.
bool winograd_allowed();

}  // namespace dnn
