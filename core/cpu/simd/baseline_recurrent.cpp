// The kernels of recurrent layers, beside baseline.cpp.
#define DNN_SIMD_VARIANT baseline
#include "core/cpu/simd/install_recurrent.h"
