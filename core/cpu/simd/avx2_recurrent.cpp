// The kernels of recurrent networks, beside avx2.cpp.
#define DNN_SIMD_VARIANT avx2
#include "core/cpu/simd/recurrent.h"
