// Which GPUs this machine has and this build can use.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dnn::cuda {

struct DeviceInfo {
  int ordinal = 0;  // the CUDA runtime's number
  std::string name;
  int major = 0;  // compute capability
  int minor = 0;
};

struct Survey {
  std::vector<DeviceInfo> usable;
  std::string why;  // why `usable` is empty
};

// Asks driver and devices. Never throws: a machine without driver or GPU is an answer.
Survey survey() noexcept;

// The survey of this process, made once.
const Survey& devices() noexcept;

// Whether code built for CMake's list of architectures ("80-real;90") runs on a GPU of that compute capability: machine
// code ("-real" or no suffix) within its major version from its minor version on, PTX ("-virtual" or no suffix) on
// everything at least as new.
bool runs_on(std::string_view architectures, int major, int minor);

}  // namespace dnn::cuda
