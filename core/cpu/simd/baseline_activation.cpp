// The kernels of functor::Activations, beside baseline.cpp.
#define DNN_SIMD_VARIANT baseline
#include "core/cpu/simd/install_activation.h"
