// The one file with <<<>>>: launching a kernel, and the shared memory of its blocks.
//
// tests/simt holds a file of the same name that runs the same kernels on the CPU; always include it as
// "cuda/launch.cuh".
#pragma once

#include <cuda_runtime.h>

#include "cuda/context.h"

namespace dnn::cuda {

// Runs `kernel` on the context's stream with the arguments converted to its parameter types. Throws BackendError when
// the launch is refused; a failure inside the kernel shows at the next wait, or here with DNN_SYNC_LAUNCH=1.
template <class... Parameters, class... Args>
void launch(void (*kernel)(Parameters...), Grid grid, Context& context, Args&&... args) {
  static_assert(sizeof...(Parameters) == sizeof...(Args), "a launch passes every parameter of the kernel");
  if (grid.blocks == 0) return;
  kernel<<<grid.blocks, grid.threads, 0, context.stream()>>>(static_cast<Parameters>(args)...);
  context.launched(reinterpret_cast<const void*>(kernel), cudaGetLastError());
}

// The array of n values that the threads of a block share, uninitialised; one for each (T, n, Tag) in a kernel.
template <class T, int n, class Tag = void>
__device__ T* block_shared() {
  __shared__ alignas(16) unsigned char bytes[sizeof(T) * n];
  return reinterpret_cast<T*>(bytes);
}

}  // namespace dnn::cuda
