// The kernels of functor::Activations, for the variant that is being compiled. Each list of functors is compiled apart,
// to build in parallel.
#pragma once

#include "core/cpu/simd/unary.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

void install_activation() { install_unary_list(functor::Activations{}); }

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
