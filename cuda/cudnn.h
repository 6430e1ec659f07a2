// cuDNN's handle of a context, and checked calls. For library sources alone: no other file sees cuDNN's headers.
#pragma once

#include <cudnn.h>

#include <mutex>

#include "cuda/library.h"

namespace dnn::cuda {

class Context;

void check(cudnnStatus_t status, const char* call, const char* file, int line);

// The handle of a context, bound to its stream, made on first use and never destroyed. A handle serves one thread at a
// time: the object holds it locked as long as it lives.
class CudnnHandle {
 public:
  explicit CudnnHandle(const Context& context);
  operator cudnnHandle_t() const { return handle_; }

 private:
  std::unique_lock<std::mutex> lock_;
  cudnnHandle_t handle_ = nullptr;
};

}  // namespace dnn::cuda

// DNN_CUDNN_CALL(cudnnCreate, &handle): calls a function of cuDNN and throws BackendError with call, status and place
// when it fails.
#define DNN_CUDNN_CALL(function, ...)                                                                              \
  ::dnn::cuda::check(DNN_LIBRARY_FUNCTION(cudnn, function)(__VA_ARGS__), #function "(" #__VA_ARGS__ ")", __FILE__, \
                     __LINE__)
