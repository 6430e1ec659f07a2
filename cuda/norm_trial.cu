// The kernels around cuDNN's batch normalisation.
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/norm_trial.h"

namespace dnn::cuda {

__global__ void count_batch_kernel(int64_t* batches) { ++*batches; }

void count_batch(const Tensor& batches) {
  launch(count_batch_kernel, {1, 1}, Context::of(batches), elements<int64_t>(batches));
}

template <class T>
__global__ void apart_kernel(const T* a, const T* b, const T* before, int64_t n, float tolerance, float scale,
                             int* apart) {
  bool found = false;
  for (const auto i : grid_stride(n)) {
    if (before != nullptr && ::fabsf(static_cast<float>(before[i])) <= tolerance) continue;
    const float x = static_cast<float>(a[i]), y = static_cast<float>(b[i]);
    const float larger = ::fabsf(x) > ::fabsf(y) ? ::fabsf(x) : ::fabsf(y);
    const bool same = x == y || (x != x && y != y), finite = larger - larger == 0;
    found = found || !(same || (finite && ::fabsf(x - y) <= tolerance * (larger + scale)));
  }
  if (found) *apart = 1;
}

bool are_near(const Tensor& a, const Tensor& b, const Nearness& nearness) {
  Context& context = Context::of(a);
  const Tensor apart = detail::allocate({1}, DType::int32, a.device());
  fill(apart, 0);
  visit_types<float, float16, bfloat16>(a.dtype(), [&]<class T>(T) {
    launch(apart_kernel<T>, context.grid(a.numel()), context, elements<T>(a), elements<T>(b),
           elements<T>(nearness.before), a.numel(), nearness.tolerance, nearness.scale, elements<int>(apart));
  });
  int found = 0;
  context.to_host(&found, detail::raw(apart), sizeof found);
  return found == 0;
}

}  // namespace dnn::cuda
