// Fills the slots of recurrent layers with the kernels of the variant that is being compiled. They are compiled apart
// from the others, to build in parallel.
#pragma once

#include "core/cpu/simd/recurrent_backward.h"
#include "core/cpu/simd/recurrent_forward.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

void install_recurrent() {
  kernel::recurrent_reserve.set(DeviceType::cpu, recurrent_reserve);
  kernel::recurrent_forward.set(DeviceType::cpu, recurrent_forward);
  kernel::recurrent_backward.set(DeviceType::cpu, recurrent_backward);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
