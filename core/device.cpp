// Devices, their runtime tables, and the installation of the backends.
#include "dnn/device.h"

#include <array>
#include <atomic>
#include <charconv>
#include <mutex>
#include <utility>

#include "core/capture.h"
#include "core/kernels/conv.h"
#include "core/kernels/linear.h"
#include "core/kernels/runtime.h"
#include "core/slot.h"
#include "core/text.h"
#include "dnn/error.h"

namespace dnn {

namespace {

std::array<detail::DeviceRuntime, device_type_count>& tables() {
  static std::array<detail::DeviceRuntime, device_type_count> all;
  return all;
}

std::atomic<int64_t> allocations_until_fault{0};

}  // namespace

Device::Device(const std::string& text) {
  if (text == "cpu") return;
  if (text.rfind("cuda", 0) == 0) {
    type_ = DeviceType::cuda;
    if (text.size() == 4) return;
    int index = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + 5, end, index);
    if (text[4] == ':' && error == std::errc() && stop == end && index >= 0 && index < 128) {
      index_ = static_cast<int8_t>(index);
      return;
    }
  }
  throw ArgumentError(fmt::format("device: \"{}\" is no device, expected cpu, cuda or cuda:N", text));
}

Device Device::best() { return detail::best_device().device; }

std::string Device::str() const { return is_cpu() ? "cpu" : fmt::format("cuda:{}", index_); }

int device_count(DeviceType type) {
  detail::ensure_installed();
  const auto& table = detail::runtime_table(type);
  return table.device_count != nullptr ? table.device_count() : 0;
}

std::string why_unavailable(DeviceType type) {
  detail::ensure_installed();
  const auto& table = detail::runtime_table(type);
  return table.why_unavailable != nullptr ? table.why_unavailable() : "this libdnn was built without CUDA";
}

void synchronize(Device device) { detail::runtime(device).synchronize(device.index()); }
int64_t host_waits(Device device) { return detail::runtime(device).host_waits(device.index()); }
MemoryStats memory_stats(Device device) { return detail::runtime(device).memory_stats(device.index()); }
void reset_peak_memory(Device device) { detail::runtime(device).reset_peak(device.index()); }
void release_cached_memory(Device device) { detail::runtime(device).release_cached(device.index()); }

namespace detail {

DeviceRuntime& runtime_table(DeviceType type) { return tables()[static_cast<size_t>(type)]; }

void ensure_installed() {
  static std::once_flag once;
  std::call_once(once, [] {
    kernel::install_work();
    cpu::install();
#ifdef DNN_HAS_CUDA
    cuda::install();
#endif
  });
}

const DeviceRuntime& runtime(Device device) {
  ensure_installed();
  const DeviceRuntime& table = runtime_table(device.type());
  const int count = table.device_count != nullptr ? table.device_count() : 0;
  if (count == 0)
    throw DeviceError(fmt::format("device: {} is not available: {}", device, why_unavailable(device.type())));
  if (device.index() >= count)
    throw DeviceError(fmt::format("device: {} does not exist, expected an index below {}", device, count));
  return table;
}

Choice best_device() {
  if (device_count(DeviceType::cuda) == 0) return {Device::cpu(), why_unavailable(DeviceType::cuda)};
  const Device gpu = Device::cuda();
  for (const auto& [name, there] : {std::pair(kernel::gemm.name(), kernel::gemm.filled(gpu)),
                                    std::pair(kernel::conv2d_forward.name(), kernel::conv2d_forward.filled(gpu))}) {
    if (!there) return {Device::cpu(), fmt::format("{} cannot train a network: no kernel for {}", gpu, name)};
  }
  const auto why_incapable = runtime_table(DeviceType::cuda).why_incapable;
  if (const std::string why = why_incapable != nullptr ? why_incapable() : ""; !why.empty())
    return {Device::cpu(), fmt::format("{} cannot train a network: {}", gpu, why)};
  return {gpu, "it is the first usable GPU"};
}

void fail_allocation(int64_t k) { allocations_until_fault = k; }

uint64_t next_serial() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

Storage::Storage(int64_t size, Device where, const void* host) : bytes(size), device(where), serial(next_serial()) {
  const DeviceRuntime& table = runtime(where);
  if (host != nullptr && !where.is_cpu()) interrupt_capture("a copy from the host");
  if (allocations_until_fault.load(std::memory_order_relaxed) > 0 && --allocations_until_fault == 0)
    throw OutOfMemory(fmt::format("allocator: {} bytes on {} refused by fail_allocation", size, where));
  if (host != nullptr && table.upload != nullptr) {
    data = table.upload(host, size, where.index());
    return;
  }
  data = table.allocate(size, where.index());
  if (host == nullptr) return;
  try {
    table.copy(data, where, host, Device::cpu(), size);
  } catch (...) {
    table.release(data, size, where.index());
    throw;
  }
}

Storage::~Storage() {
  if (data != nullptr) runtime_table(device.type()).release(data, bytes, device.index());
}

}  // namespace detail

namespace kernel {
void throw_empty_slot(const char* name, Device device) {
  throw DeviceError(fmt::format("{}: no kernel for {}", name, device));
}
}  // namespace kernel

}  // namespace dnn
