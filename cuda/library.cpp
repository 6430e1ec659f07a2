// Loading shared libraries.
#include "cuda/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "dnn/error.h"

namespace dnn::cuda {

constinit Library cudnn("libcudnn.so.9", "convolution and recurrent layers");
constinit Library cublaslt("libcublasLt.so." DNN_CUDA_MAJOR, "matrix products");

// Never closed: its functions may be called as long as tensors live, which is longer than any static object.
void Library::load() {
  const std::lock_guard lock(mutex_);
  if (tried_) return;
  tried_ = true;
  handle_ = dlopen(file_, RTLD_NOW | RTLD_LOCAL);
  if (handle_ == nullptr) error_ = dlerror();
}

std::string Library::why_missing() {
  load();
  return error_;
}

void* Library::handle() {
  load();
  if (handle_ == nullptr)
    throw BackendError(fmt::format("cuda: {} cannot be loaded, expected it for {} ({})", file_, purpose_, error_));
  return handle_;
}

void* Library::address(const char* name) {
  void* const found = dlsym(handle(), name);
  if (found == nullptr) throw BackendError(fmt::format("cuda: {} has no {}, expected a newer one", file_, name));
  return found;
}

void throw_call_failed(std::string_view call, std::string_view status, std::string_view file, int line) {
  const size_t folder = file.rfind("cuda/");
  throw BackendError(fmt::format("cuda: {} failed, expected success ({}; {}:{})", call, status,
                                 folder == std::string_view::npos ? file : file.substr(folder), line));
}

}  // namespace dnn::cuda
