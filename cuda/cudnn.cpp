// Handles of cuDNN, and what its failures say.
#include "cuda/cudnn.h"

#include <fmt/format.h>

#include <map>

#include "cuda/context.h"

namespace dnn::cuda {

void check(cudnnStatus_t status, const char* call, const char* file, int line) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char details[512] = "";
  DNN_LIBRARY_FUNCTION(cudnn, cudnnGetLastErrorString)(details, sizeof details);
  const char* const name = DNN_LIBRARY_FUNCTION(cudnn, cudnnGetErrorString)(status);
  throw_call_failed(call, details[0] == '\0' ? name : fmt::format("{}: {}", name, details), file, line);
}

namespace {

struct LockedHandle {
  std::mutex mutex;
  cudnnHandle_t handle = nullptr;
};

LockedHandle& handle_of(const Context& context) {
  static std::mutex mutex;
  static auto& handles = *new std::map<const Context*, LockedHandle>;  // tensors may outlive every static object
  const std::lock_guard lock(mutex);
  return handles[&context];
}

}  // namespace

CudnnHandle::CudnnHandle(const Context& context) {
  LockedHandle& locked = handle_of(context);
  lock_ = std::unique_lock(locked.mutex);
  if (locked.handle == nullptr) {
    cudnnHandle_t made = nullptr;
    DNN_CUDNN_CALL(cudnnCreate, &made);
    DNN_CUDNN_CALL(cudnnSetStream, made, context.stream());
    locked.handle = made;
  }
  handle_ = locked.handle;
}

}  // namespace dnn::cuda
