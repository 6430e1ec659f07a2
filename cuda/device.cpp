// The survey of the machine's GPUs.
#include "cuda/device.h"

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

#include "cuda/library.h"
#include "dnn/error.h"
#include "dnn/system.h"

namespace dnn::cuda {

namespace {

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

// Why the devices could not even be counted.
std::string failure_text(cudaError_t error, int driver, int runtime) {
  if (driver == 0)
    return fmt::format("no NVIDIA driver is installed (this libdnn uses CUDA {})", version_text(runtime));
  if (error == cudaErrorInsufficientDriver)
    return fmt::format("the NVIDIA driver is too old: it supports CUDA {}, this libdnn uses CUDA {}",
                       version_text(driver), version_text(runtime));
  if (error == cudaErrorNoDevice) {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    return fmt::format("the NVIDIA driver sees no GPU (CUDA_VISIBLE_DEVICES is {})",
                       visible == nullptr ? "not set" : fmt::format("\"{}\"", visible));
  }
  return fmt::format("the CUDA runtime reports {}: {}", cudaGetErrorName(error), cudaGetErrorString(error));
}

DeviceInfo describe(int ordinal) {
  DeviceInfo info{.ordinal = ordinal, .name = fmt::format("GPU {}", ordinal)};
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, ordinal) == cudaSuccess) {
    info.name = properties.name;
    info.memory = static_cast<int64_t>(properties.totalGlobalMem);
  }
  cudaDeviceGetAttribute(&info.major, cudaDevAttrComputeCapabilityMajor, ordinal);
  cudaDeviceGetAttribute(&info.minor, cudaDevAttrComputeCapabilityMinor, ordinal);
  return info;
}

Survey ask() {
  Survey result;
  int count = 0;
  cudaDriverGetVersion(&result.driver);
  cudaRuntimeGetVersion(&result.runtime);
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    result.why = failure_text(error == cudaSuccess ? cudaErrorNoDevice : error, result.driver, result.runtime);
    return result;
  }
  for (int i = 0; i < count; ++i) {
    const DeviceInfo info = describe(i);
    (runs_on(DNN_CUDA_ARCHITECTURES, info.major, info.minor) ? result.usable : result.unfit).push_back(info);
  }
  if (!result.usable.empty()) return result;
  std::string list;
  for (const DeviceInfo& info : result.unfit)
    list +=
        fmt::format("{}{} has compute capability {}.{}", list.empty() ? "" : ", ", info.name, info.major, info.minor);
  result.why = fmt::format("this libdnn was not built for the GPU: {}, built for {}", list, DNN_CUDA_ARCHITECTURES);
  return result;
}

// `function` gives the version as one number, 91900 for 9.19.0.
LibraryInfo describe(Library& library, const char* function) {
  LibraryInfo info{.version = "", .why_missing = library.why_missing()};
  if (!info.why_missing.empty()) return info;
  try {
    const size_t version = library.symbol<size_t (*)()>(function)();
    info.version = fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
  } catch (const BackendError& error) {
    info.why_missing = error.what();
  }
  return info;
}

}  // namespace

Survey survey() noexcept {
  try {
    return ask();
  } catch (...) {
    return {};  // out of host memory while the texts were made
  }
}

const Survey& devices() noexcept {
  static const auto* found = new Survey(survey());  // tensors in static storage may outlive everything else
  return *found;
}

void describe(const Survey& survey, SystemReport& report) {
  report.architectures = DNN_CUDA_ARCHITECTURES;
  report.runtime = {version_text(survey.runtime), ""};
  report.driver = {};
  if (survey.driver == 0) {
    report.driver.why_missing = "no NVIDIA driver is installed";
  } else {
    report.driver.version = version_text(survey.driver);
  }
  report.cudnn = describe(cudnn, "cudnnGetVersion");
  report.cublaslt = describe(cublaslt, "cublasLtGetVersion");
  report.gpus.clear();
  const auto add = [&](const DeviceInfo& info, int index, const std::string& why) {
    report.gpus.push_back({.name = info.name,
                           .major = info.major,
                           .minor = info.minor,
                           .memory = info.memory,
                           .index = index,
                           .why_unusable = why});
  };
  for (size_t i = 0; i < survey.usable.size(); ++i) add(survey.usable[i], static_cast<int>(i), "");
  for (const DeviceInfo& info : survey.unfit)
    add(info, -1, fmt::format("this libdnn was built for {}", DNN_CUDA_ARCHITECTURES));
  report.why_no_gpu = survey.why;
}

bool runs_on(std::string_view architectures, int major, int minor) {
  const int capability = 10 * major + minor;
  while (!architectures.empty()) {
    const size_t end = architectures.find_first_of("; ");
    const std::string_view entry = architectures.substr(0, end);
    architectures.remove_prefix(end == std::string_view::npos ? architectures.size() : end + 1);
    int built = 0;
    const auto [suffix, error] = std::from_chars(entry.data(), entry.data() + entry.size(), built);
    if (error != std::errc()) {
      if (entry == "native" || entry == "all" || entry == "all-major") return true;
      continue;
    }
    const std::string_view kind(suffix, static_cast<size_t>(entry.data() + entry.size() - suffix));
    const bool only_here = kind.starts_with("a");  // architecture-specific code runs on nothing else
    if (only_here && built != capability) continue;
    if (!kind.ends_with("-virtual") && built / 10 == major && built % 10 <= minor) return true;
    if (!kind.ends_with("-real") && built <= capability) return true;
  }
  return false;
}

}  // namespace dnn::cuda
