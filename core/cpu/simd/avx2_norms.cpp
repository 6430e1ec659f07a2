// The kernels of row and response normalisation, beside avx2.cpp.
#define DNN_SIMD_VARIANT avx2
#include "core/cpu/simd/install_norms.h"
