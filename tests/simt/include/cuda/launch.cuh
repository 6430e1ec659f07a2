// launch() and block_shared() of the emulator; stands on the include path before the folder cuda's own file of this
// name.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <functional>
#include <span>
#include <tuple>

#include "cuda/context.h"

namespace dnn::simt {

// Appends the execution of a kernel to a stream; `thread` runs the kernel for one thread, `arguments` are what it gets.
cudaError_t enqueue_kernel(cudaStream_t stream, const void* kernel, unsigned blocks, unsigned threads,
                           std::span<const std::byte> arguments, std::function<void()> thread);
// The running block's shared array of that key, filled with 0xff before its first use in a block.
void* shared_array(const void* key, size_t bytes);

}  // namespace dnn::simt

namespace dnn::cuda {

template <class... Parameters, class... Args>
void launch(void (*kernel)(Parameters...), Grid grid, Context& context, Args&&... args) {
  if (grid.blocks == 0) return;
  const auto address = reinterpret_cast<const void*>(kernel);
  std::tuple<Parameters...> values(static_cast<Parameters>(args)...);
  const auto bytes = std::as_bytes(std::span(&values, 1));
  const cudaError_t error = simt::enqueue_kernel(context.stream(), address, grid.blocks, grid.threads, bytes,
                                                 [kernel, values] { std::apply(kernel, values); });
  context.launched(address, error);
}

template <class T, int n, class Tag = void>
T* block_shared() {
  static const char key = 0;
  return static_cast<T*>(simt::shared_array(&key, sizeof(T) * n));
}

}  // namespace dnn::cuda
