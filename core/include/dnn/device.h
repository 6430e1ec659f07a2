// Where a tensor lies and computes: the CPU or an NVIDIA GPU, and what memory it uses there.
#pragma once

#include <cstdint>
#include <string>

namespace dnn {

/// The kinds of device.
enum class DeviceType : uint8_t { cpu, cuda };
/// Number of device kinds; the size of tables indexed by DeviceType.
inline constexpr int device_type_count = 2;

/// One device: a kind and, for GPUs, an index.
class Device {
 public:
  constexpr Device() = default;
  constexpr Device(DeviceType type, int index = 0) : type_(type), index_(static_cast<int8_t>(index)) {}
  /// Reads "cpu", "cuda" or "cuda:1"; throws ArgumentError for any other text.
  explicit Device(const std::string& text);

  /// The CPU.
  static constexpr Device cpu() { return {DeviceType::cpu}; }
  /// The GPU of that index; whether it exists is checked when a tensor is made there.
  static constexpr Device cuda(int index = 0) { return {DeviceType::cuda, index}; }
  /// The first GPU when there is one with all that training a network needs, else the CPU; see `system_report`.
  static Device best();

  constexpr DeviceType type() const { return type_; }
  constexpr int index() const { return index_; }
  constexpr bool is_cpu() const { return type_ == DeviceType::cpu; }
  constexpr bool is_cuda() const { return type_ == DeviceType::cuda; }
  /// "cpu" or "cuda:0".
  std::string str() const;

  friend constexpr bool operator==(Device, Device) = default;

 private:
  DeviceType type_ = DeviceType::cpu;
  int8_t index_ = 0;
};

/// Number of usable devices of a kind: 1 for the CPU, 0 or more GPUs; never throws.
int device_count(DeviceType type);

/// Why no device of that kind can be used (no driver, no device, built without CUDA); empty when one can.
std::string why_unavailable(DeviceType type);

/// Waits until all work given to the device is done; throws DeviceError when there is no such device.
void synchronize(Device device);

/// How often the host has waited for the device since the program began; always 0 for the CPU. It waits in
/// `synchronize`, in `item()` and other copies to the host, in an upload only when it is several large batches ahead of
/// the device, and where a convolution or product is met for the first time and timed. Throws DeviceError when there is
/// no such device.
int64_t host_waits(Device device);

/// What the caching allocator of a device holds, in bytes, and how often it had to ask the system.
struct MemoryStats {
  int64_t in_use = 0;           ///< Bytes in live tensors.
  int64_t peak = 0;             ///< Most bytes ever in use since the start or `reset_peak_memory`.
  int64_t reserved = 0;         ///< Bytes taken from the system: in use and cached.
  int64_t system_requests = 0;  ///< Times that memory was asked of the system.
};

/// The counters of a device's allocator; throws DeviceError when there is no such device.
MemoryStats memory_stats(Device device = Device::cpu());

/// Makes the current use the new peak.
void reset_peak_memory(Device device = Device::cpu());

/// Gives all cached blocks back to the system.
void release_cached_memory(Device device = Device::cpu());

}  // namespace dnn
