// NVIDIA's libraries, loaded when they are first needed: libdnn also runs where there are none.
//
// A function is called through DNN_LIBRARY_FUNCTION, which looks it up once, with the types of the library's own
// header.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

namespace dnn::cuda {

class Library {
 public:
  // `file` as the dynamic linker finds it, `purpose` for messages: "libcudnn.so.9", "convolution".
  constexpr Library(const char* file, const char* purpose) : file_(file), purpose_(purpose) {}

  // Of dlopen. Throws BackendError when the library is not there.
  void* handle();
  // Why it cannot be loaded; empty when it can.
  std::string why_missing();
  // Throws BackendError when the library is not there, or too old to have that function.
  template <class Function>
  Function symbol(const char* name) {
    return reinterpret_cast<Function>(address(name));
  }

 private:
  void* address(const char* name);
  void load();

  const char* file_;
  const char* purpose_;
  std::mutex mutex_;
  bool tried_ = false;
  void* handle_ = nullptr;
  std::string error_;
};

extern Library cudnn;
extern Library cublaslt;

// Throws the BackendError of a library's call that failed with `status`, the library's own words.
[[noreturn]] void throw_call_failed(std::string_view call, std::string_view status, std::string_view file, int line);

}  // namespace dnn::cuda

// The address of a function that a library's header declares.
#define DNN_LIBRARY_FUNCTION(library, function)                                              \
  ([] {                                                                                      \
    static const auto address = ::dnn::cuda::library.symbol<decltype(&function)>(#function); \
    return address;                                                                          \
  }())
