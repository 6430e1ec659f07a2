// The kernels of recurrent layers, beside avx512.cpp.
#define DNN_SIMD_VARIANT avx512
#include "core/cpu/simd/install_recurrent.h"
