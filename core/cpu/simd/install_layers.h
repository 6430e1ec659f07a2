// Fills the slots of convolution, linear layers, normalisation, pooling, interpolation and dropout with the kernels of
// the variant that is being compiled. They are compiled apart from the others, to build in parallel.
#pragma once

#include "core/cpu/simd/conv_backward.h"
#include "core/cpu/simd/dropout.h"
#include "core/cpu/simd/interpolate.h"
#include "core/cpu/simd/linear.h"
#include "core/cpu/simd/norm.h"
#include "core/cpu/simd/pool.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

void install_layers() {
  install_conv();
  install_dropout();
  install_interpolate();
  install_linear();
  install_norm();
  install_pool();
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
