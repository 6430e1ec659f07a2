// The kernels of normalisation, pooling and dropout, beside baseline.cpp.
#define DNN_SIMD_VARIANT baseline
#include "core/cpu/simd/install_layers.h"
