// Fills the slots of row and response normalisation and of the folds with the kernels of the variant that is being
// compiled. They are compiled apart from the others, to build in parallel.
#pragma once

#include "core/cpu/simd/fold.h"
#include "core/cpu/simd/response_norm.h"
#include "core/cpu/simd/row_norm.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

void install_norms() {
  install_fold();
  install_response_norm();
  install_row_norm();
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
