// The kernels of this folder for every CPU that the compiler's default target runs on.
#define DNN_SIMD_VARIANT baseline
#include "core/cpu/simd/elementwise.h"

namespace dnn::cpu {

void install_baseline() { baseline::install_elementwise(); }

}  // namespace dnn::cpu
