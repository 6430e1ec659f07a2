// Events as marks.
#include "cuda/mark.h"

#include <cuda_runtime.h>

#include "cuda/check.h"
#include "cuda/context.h"

namespace dnn::cuda {

namespace {
cudaEvent_t event_of(const void* mark) { return static_cast<cudaEvent_t>(const_cast<void*>(mark)); }
}  // namespace

void* make_mark(int index) {
  const cudaStream_t stream = Context::of(index).stream();
  cudaEvent_t event = nullptr;
  DNN_CUDA_CHECK(cudaEventCreateWithFlags(&event, 0));  // with timing
  try {
    DNN_CUDA_CHECK(cudaEventRecord(event, stream));
  } catch (...) {
    cudaEventDestroy(event);
    throw;
  }
  return event;
}

double seconds_between(const void* from, const void* to) {
  float milliseconds = 0;
  DNN_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, event_of(from), event_of(to)));
  return milliseconds * 1e-3;
}

void release_mark(void* mark) noexcept { cudaEventDestroy(event_of(mark)); }

}  // namespace dnn::cuda
