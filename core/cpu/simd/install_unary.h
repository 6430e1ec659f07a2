// The kernels of functor::Unary, for the variant that is being compiled. Each list of functors is compiled apart, to
// build in parallel.
#pragma once

#include "core/cpu/simd/unary.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

void install_unary() { install_unary_list(functor::Unary{}); }

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
