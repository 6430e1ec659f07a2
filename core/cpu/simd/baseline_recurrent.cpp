// The kernels of recurrent networks, beside baseline.cpp.
#define DNN_SIMD_VARIANT baseline
#include "core/cpu/simd/recurrent.h"
