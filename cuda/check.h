// DNN_CUDA_CHECK: a CUDA call that throws BackendError with expression, status and place when it fails.
#pragma once

#include <cuda_runtime.h>

namespace dnn::cuda {

void check(cudaError_t status, const char* expression, const char* file, int line);

}  // namespace dnn::cuda

#define DNN_CUDA_CHECK(expression) ::dnn::cuda::check((expression), #expression, __FILE__, __LINE__)
