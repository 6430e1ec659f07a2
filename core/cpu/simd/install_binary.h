// The kernels of functor::Binary, of the predicates and of `where`, for the variant that is being compiled. Each list
// of functors is compiled apart, to build in parallel.
#pragma once

#include "core/cpu/simd/binary.h"
#include "core/cpu/simd/predicate.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

void install_binary() { install_binary_list(), install_predicate_lists(); }

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
