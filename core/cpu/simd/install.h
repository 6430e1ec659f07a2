// Fills the slots of this folder with the kernels of the variant that is being compiled.
#pragma once

#include "core/cpu/simd/copy.h"
#include "core/cpu/simd/gradients.h"
#include "core/cpu/simd/loss.h"
#include "core/cpu/simd/reduce.h"
#include "core/cpu/simd/softmax.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

// In install_<name>.h.
void install_activation();
void install_binary();
void install_layers();
void install_norms();
void install_recurrent();
void install_unary();

inline void install() {
  install_copy();
  install_gradients();
  install_unary();
  install_activation();
  install_binary();
  install_layers();
  install_loss();
  install_norms();
  install_optim();
  install_recurrent();
  install_reduce();
  install_softmax();
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
