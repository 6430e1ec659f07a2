// Brings the varying numbers of a recorded step to the device, as arguments of a launch.
#include "cuda/graph.h"
#include "cuda/launch.cuh"

namespace dnn::cuda {

__global__ void set_varying_kernel(VaryingBytes values, std::byte* to, int n) {
  const int i = static_cast<int>(threadIdx.x);
  if (i < n) to[i] = values.bytes[static_cast<size_t>(i)];
}

void set_varying(Context& context, void* to, const VaryingBytes& values, int64_t n) {
  launch(set_varying_kernel, {1, VaryingBytes::size}, context, values, static_cast<std::byte*>(to), n);
}

}  // namespace dnn::cuda
