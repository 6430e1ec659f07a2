// The kernels of this folder for every CPU that the compiler's default target runs on.
#define DNN_SIMD_VARIANT baseline
#include "core/cpu/simd/install.h"

namespace dnn::cpu {

void install_baseline() { baseline::install(); }

}  // namespace dnn::cpu
