// Fills the slots of this folder with the kernels of the variant that is being compiled.
#pragma once

#include "core/cpu/simd/copy.h"
#include "core/cpu/simd/elementwise.h"
#include "core/cpu/simd/loss.h"
#include "core/cpu/simd/optim.h"
#include "core/cpu/simd/reduce.h"
#include "core/cpu/simd/softmax.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

void install_layers();     // in install_layers.h
void install_norms();      // in install_norms.h
void install_recurrent();  // in install_recurrent.h

inline void install() {
  install_copy();
  install_elementwise();
  install_layers();
  install_loss();
  install_norms();
  install_optim();
  install_recurrent();
  install_reduce();
  install_softmax();
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
