// The kernels of functor::Unary, beside avx2.cpp.
#define DNN_SIMD_VARIANT avx2
#include "core/cpu/simd/install_unary.h"
