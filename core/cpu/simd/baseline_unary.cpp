// The kernels of functor::Unary, beside baseline.cpp.
#define DNN_SIMD_VARIANT baseline
#include "core/cpu/simd/install_unary.h"
