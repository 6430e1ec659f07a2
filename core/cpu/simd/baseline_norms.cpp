// The kernels of row and response normalisation, beside baseline.cpp.
#define DNN_SIMD_VARIANT baseline
#include "core/cpu/simd/install_norms.h"
