// Telling the last block of a launch, which alone finishes what all blocks began: one launch instead of two.
//
// Every block writes its part to memory and draws a number; the block that draws the highest one comes after all others
// and reads their parts. Which block that is differs from run to run, what it reads does not: as long as it combines
// the parts in a fixed order, results are the same in every run. The counters are the context's (Context::tickets),
// zero between launches; kernels of one context run one after another, so that all of them share the counters.
#pragma once

#include "cuda/launch.cuh"

namespace dnn::cuda {

// Whether this is the last of `blocks` blocks that call this with the same counter. All threads of a block call it and
// get the same answer; what the block's threads wrote before is visible to the last block behind it.
__device__ inline bool is_last_block(unsigned* ticket, unsigned blocks) {
  struct Answer;
  bool* last = block_shared<bool, 1, Answer>();
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    *last = atomicAdd(ticket, 1u) == blocks - 1;
    if (*last) *ticket = 0;
  }
  __syncthreads();
  __threadfence();
  return *last;
}

}  // namespace dnn::cuda
