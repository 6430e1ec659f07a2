// The kernels of functor::Binary, of the predicates and of `where`, beside avx2.cpp.
#define DNN_SIMD_VARIANT avx2
#include "core/cpu/simd/install_binary.h"
