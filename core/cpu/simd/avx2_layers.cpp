// The kernels of normalisation, pooling and dropout, beside avx2.cpp.
#define DNN_SIMD_VARIANT avx2
#include "core/cpu/simd/install_layers.h"
