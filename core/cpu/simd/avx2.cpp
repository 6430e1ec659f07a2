// The kernels of this folder for CPUs with AVX2 and FMA.
#define DNN_SIMD_VARIANT avx2
#include "core/cpu/simd/install.h"

namespace dnn::cpu {

void install_avx2() { avx2::install(); }

}  // namespace dnn::cpu
