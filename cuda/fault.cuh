// Noting a bad label or index in the status block.
#pragma once

#include <cstdint>

#include "cuda/launch.cuh"

namespace dnn::cuda {

// Values beyond 32 bits are clamped, and so are positions.
__device__ inline void note_fault(LabelFault* fault, int64_t position, int64_t value) {
  const int64_t clamped = value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : value;
  const int64_t place = position > INT32_MAX ? INT32_MAX : position;
  atomicMin(fault, static_cast<LabelFault>(place) << 32 | static_cast<uint32_t>(static_cast<int32_t>(clamped)));
}

}  // namespace dnn::cuda
