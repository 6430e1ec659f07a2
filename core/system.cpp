// The report on machine and library. Each backend adds what it knows of itself.
#include "dnn/system.h"

#include "core/kernels/runtime.h"
#include "core/text.h"

namespace dnn {

namespace {

std::string text_of(const LibraryInfo& library) {
  return library.version.empty() ? "none: " + library.why_missing : library.version;
}

std::string text_of(const GpuInfo& gpu) {
  const std::string facts =
      fmt::format("{}, compute capability {}.{}, {:.1f} GiB", gpu.name.empty() ? "unnamed" : gpu.name, gpu.major,
                  gpu.minor, static_cast<double>(gpu.memory) / (1 << 30));
  return gpu.index >= 0 ? fmt::format("{}: {}", Device::cuda(gpu.index), facts)
                        : fmt::format("{}, not usable: {}", facts, gpu.why_unusable);
}

}  // namespace

std::string SystemReport::str() const {
  std::string text;
  const auto line = [&](const char* name, const std::string& value) { text += fmt::format("{:<16}{}\n", name, value); };
  line("libdnn", version);
  line("CPU kernels", fmt::format("{}, {} thread{}", cpu.kernels, cpu.threads, cpu.threads == 1 ? "" : "s"));
  line("oneDNN", fmt::format("{}, {}", cpu.onednn, cpu.instructions));
  line("GPU kernels", architectures.empty() ? "none: " + runtime.why_missing : "for " + architectures);
  line("CUDA driver", text_of(driver));
  line("CUDA runtime", text_of(runtime));
  line("cuDNN", text_of(cudnn));
  line("cuBLASLt", text_of(cublaslt));
  if (gpus.empty()) line("GPU", "none: " + why_no_gpu);
  for (const GpuInfo& gpu : gpus) line("GPU", text_of(gpu));
  line("default device", fmt::format("{}: {}", best, why_best));
  return text;
}

SystemReport system_report() {
  detail::ensure_installed();
  SystemReport report;
  report.version = DNN_VERSION;
  report.why_no_gpu = why_unavailable(DeviceType::cuda);
  for (LibraryInfo* library : {&report.driver, &report.runtime, &report.cudnn, &report.cublaslt})
    library->why_missing = report.why_no_gpu;
  for (const DeviceType type : {DeviceType::cpu, DeviceType::cuda}) {
    if (const auto describe = detail::runtime_table(type).describe; describe != nullptr) describe(report);
  }
  const detail::Choice choice = detail::best_device();
  report.best = choice.device;
  report.why_best = choice.reason;
  return report;
}

}  // namespace dnn
