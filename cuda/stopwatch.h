// The clock of a stream.
#pragma once

#include <cuda_runtime.h>

#include "cuda/check.h"
#include "cuda/context.h"

namespace dnn::cuda {

// Times work on a context's stream. The host waits for it, so nothing else should be there.
class Stopwatch {
 public:
  explicit Stopwatch(const Context& context) : stream_(context.stream()) {
    DNN_CUDA_CHECK(cudaEventCreateWithFlags(&start_, 0));
    DNN_CUDA_CHECK(cudaEventCreateWithFlags(&stop_, 0));
  }
  ~Stopwatch() {
    cudaEventDestroy(start_);
    cudaEventDestroy(stop_);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  // Milliseconds of what `enqueue` puts on the stream.
  template <class Enqueue>
  float time(Enqueue&& enqueue) {
    DNN_CUDA_CHECK(cudaEventRecord(start_, stream_));
    enqueue();
    DNN_CUDA_CHECK(cudaEventRecord(stop_, stream_));
    DNN_CUDA_CHECK(cudaEventSynchronize(stop_));
    float milliseconds = 0;
    DNN_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, start_, stop_));
    return milliseconds;
  }

 private:
  cudaStream_t stream_;
  cudaEvent_t start_ = nullptr;
  cudaEvent_t stop_ = nullptr;
};

}  // namespace dnn::cuda
