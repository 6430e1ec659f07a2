// The driver's two functions for it, which take no arguments, found at run time: bench builds and runs without CUDA.
#include "examples/bench/mark.h"

#include <dlfcn.h>
#include <dnn/dnn.h>

namespace {

using Function = int (*)();

Function driver_function(const char* name) {
  static void* const driver = dlopen("libcuda.so.1", RTLD_NOW);
  return driver == nullptr ? nullptr : reinterpret_cast<Function>(dlsym(driver, name));
}

}  // namespace

Mark::Mark() {
  const Function begin = driver_function("cuProfilerStart");
  if (begin == nullptr)
    throw dnn::DeviceError("mark: a step cannot be marked, expected the NVIDIA driver (libcuda.so.1 is not there)");
  if (begin() != 0) throw dnn::DeviceError("mark: a step cannot be marked, cuProfilerStart failed");
}

Mark::~Mark() { driver_function("cuProfilerStop")(); }
