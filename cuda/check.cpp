// Failures of CUDA calls, in words; the final ones are remembered.
#include "cuda/check.h"

#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <string_view>

#include "dnn/error.h"

namespace dnn::cuda {

namespace {

struct Loss {
  std::atomic<bool> happened{false};
  std::mutex mutex;
  std::string text;
};

Loss& loss() {
  static auto* all = new Loss;  // tensors in static storage may outlive everything else
  return *all;
}

// After these, CUDA's documentation says, the process must be terminated and started again.
bool is_final(cudaError_t status) {
  switch (status) {
    case cudaErrorECCUncorrectable:
    case cudaErrorContained:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorMpsClientTerminated:
    case cudaErrorExternalDevice: return true;
    default: return false;
  }
}

}  // namespace

void throw_failure(cudaError_t status, const std::string& what, const std::string& place) {
  cudaGetLastError();  // reported here, the next launch shall not report it again
  std::string text = fmt::format("cuda: {} failed, expected success ({}: {}{}{})", what, cudaGetErrorName(status),
                                 cudaGetErrorString(status), place.empty() ? "" : "; ", place);
  if (status == cudaErrorMemoryAllocation) throw OutOfMemory(text);
  if (!is_final(status)) throw BackendError(text);
  check_alive();
  text += "; the cause may be an earlier kernel, which DNN_SYNC_LAUNCH=1 names";
  {
    const std::lock_guard lock(loss().mutex);
    if (!loss().happened) loss().text = text;
    loss().happened = true;
  }
  throw BackendError(text);
}

void check(cudaError_t status, const char* expression, const char* file, int line) {
  if (status == cudaSuccess) return;
  const std::string_view path = file;
  const size_t folder = path.rfind("cuda/");
  throw_failure(status, expression,
                fmt::format("{}:{}", folder == std::string_view::npos ? path : path.substr(folder), line));
}

void check_alive() {
  if (!loss().happened.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(loss().mutex);
  throw BackendError(fmt::format(
      "cuda: the GPU was lost, expected one that works: start the program again (the first failure was: {})",
      loss().text));
}

void forget_failure() {
  const std::lock_guard lock(loss().mutex);
  loss().happened = false;
}

}  // namespace dnn::cuda
