// Whether two pieces of device memory hold the same bytes.
#include "cuda/index.cuh"
#include "cuda/kernels.h"

namespace dnn::cuda {

__global__ void differ_kernel(const uint16_t* a, const uint16_t* b, int64_t n, int* differ) {
  bool found = false;
  for (const auto i : grid_stride(n)) found = found || a[i] != b[i];
  if (found) atomicMax(differ, 1);
}

bool same_bytes(Context& context, const void* a, const void* b, int64_t bytes) {
  const Tensor differ = detail::allocate({1}, DType::int32, Device::cuda(context.index()));
  fill(differ, 0);
  launch(differ_kernel, context.grid(bytes / 2), context, static_cast<const uint16_t*>(a),
         static_cast<const uint16_t*>(b), bytes / 2, elements<int>(differ));
  int found = 0;
  context.to_host(&found, detail::raw(differ), sizeof found);
  return found == 0;
}

}  // namespace dnn::cuda
