// The kernels of functor::Binary, of the predicates and of `where`, beside baseline.cpp.
#define DNN_SIMD_VARIANT baseline
#include "core/cpu/simd/install_binary.h"
