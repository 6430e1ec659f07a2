// DNN_CUDA_CHECK: a CUDA call that throws BackendError with expression, status and place when it fails.
//
// Some failures are final: after an illegal address in a kernel, say, every further call of the process fails. The
// first of them is remembered, and `check_alive` throws it again for all that comes later.
#pragma once

#include <cuda_runtime.h>

#include <string>

namespace dnn::cuda {

void check(cudaError_t status, const char* expression, const char* file, int line);

// Throws OutOfMemory or BackendError for a call that failed. `what` says which: "cudaMalloc(&data, bytes)".
[[noreturn]] void throw_failure(cudaError_t status, const std::string& what, const std::string& place = "");

// Throws BackendError when a final failure has come before.
void check_alive();
// For tests, where a GPU can come back.
void forget_failure();

}  // namespace dnn::cuda

#define DNN_CUDA_CHECK(expression) ::dnn::cuda::check((expression), #expression, __FILE__, __LINE__)
