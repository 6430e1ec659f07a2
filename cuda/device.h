// Which GPUs this machine has and this build can use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dnn {
struct SystemReport;
}

namespace dnn::cuda {

struct DeviceInfo {
  int ordinal = 0;  // the CUDA runtime's number
  std::string name;
  int major = 0;  // compute capability
  int minor = 0;
  int64_t memory = 0;  // bytes
};

struct Survey {
  int driver = 0;  // the CUDA version that the driver supports, 13020 for 13.2; 0 without one
  int runtime = 0;
  std::vector<DeviceInfo> usable;
  std::vector<DeviceInfo> unfit;  // this libdnn has no code for them
  std::string why;                // why `usable` is empty
};

// Asks driver and devices. Never throws: a machine without driver or GPU is an answer.
Survey survey() noexcept;

// The survey of this process, made once.
const Survey& devices() noexcept;

// The GPUs' part of a report.
void describe(const Survey& survey, SystemReport& report);

// Whether code built for CMake's list of architectures ("80-real;90") runs on a GPU of that compute capability: machine
// code ("-real" or no suffix) within its major version from its minor version on, PTX ("-virtual" or no suffix) on
// everything at least as new.
bool runs_on(std::string_view architectures, int major, int minor);

}  // namespace dnn::cuda
