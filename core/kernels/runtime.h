// What a device must offer before any kernel: memory, copies, waiting.
#pragma once

#include <string>

#include "core/storage.h"
#include "dnn/device.h"
#include "dnn/system.h"

namespace dnn::detail {

// One table per device kind, filled by `cpu::install` and `cuda::install`. All functions may throw BackendError.
struct DeviceRuntime {
  int (*device_count)() = nullptr;                        // never throws
  std::string (*why_unavailable)() = nullptr;             // empty when device_count() > 0; never throws
  void* (*allocate)(int64_t bytes, int index) = nullptr;  // aligned to 64 bytes or more; throws OutOfMemory
  void (*release)(void* data, int64_t bytes, int index) noexcept = nullptr;
  // Allocates memory and fills it with bytes of the host, which may arrive while earlier work still computes. Null
  // where that gains nothing: then `allocate` and `copy` do.
  void* (*upload)(const void* from, int64_t bytes, int index) = nullptr;
  // Copies bytes in stream order; at least one side is this device, the other this device or the host. With the host as
  // destination the call waits until the bytes are there.
  void (*copy)(void* to, Device to_device, const void* from, Device from_device, int64_t bytes) = nullptr;
  void (*synchronize)(int index) = nullptr;
  int64_t (*host_waits)(int index) = nullptr;
  MemoryStats (*memory_stats)(int index) = nullptr;
  void (*reset_peak)(int index) = nullptr;
  void (*release_cached)(int index) = nullptr;
  // For a profiler, null where a call of a kernel returns when it is done: marks a place in the device's work, and says
  // how many seconds lie between two that have been reached.
  void* (*mark)(int index) = nullptr;
  double (*seconds_between)(const void* from, const void* to) = nullptr;
  void (*release_mark)(void* mark) noexcept = nullptr;
  // For captured steps (core/capture.h), null where a step is a plain call: why nothing can be recorded now (empty when
  // it can), memory that no other step is given, recording into a graph, and the graph. After `end_capture` nothing is
  // recorded any more, also when it throws BackendError.
  std::string (*why_no_capture)(int index) = nullptr;
  void* (*make_step_memory)(int index) = nullptr;
  void (*release_step_memory)(void* memory, int index) noexcept = nullptr;
  void (*begin_capture)(void* memory, int index) = nullptr;
  void* (*end_capture)(int index) = nullptr;
  void (*abandon_capture)(int index) noexcept = nullptr;
  void (*launch_graph)(void* graph) = nullptr;
  int64_t (*graph_nodes)(const void* graph) = nullptr;
  void (*release_graph)(void* graph) noexcept = nullptr;
  // Ranges that the device's own tools show; may be null. They never throw.
  void (*push_range)(const char* name) = nullptr;
  void (*pop_range)() = nullptr;
  std::string (*why_incapable)() =
      nullptr;  // what its kernels miss to train a network; empty for nothing; never throws
  void (*describe)(SystemReport& report) = nullptr;  // adds what the backend knows of itself and its devices
};

// The table of a device kind, installed on first use; throws DeviceError when the build lacks it or no device is there.
const DeviceRuntime& runtime(Device device);
// The table to fill.
DeviceRuntime& runtime_table(DeviceType type);
// Fills every slot of every backend in this build; called by `runtime`, cheap after the first time.
void ensure_installed();

// What `Device::best()` is, and why.
struct Choice {
  Device device;
  std::string reason;
};
Choice best_device();

// The k-th allocation from now (1 = the next) throws OutOfMemory, once; 0 switches the fault off. For tests.
void fail_allocation(int64_t k);

}  // namespace dnn::detail

namespace dnn::cpu {
void install();
}
namespace dnn::cuda {
void install();
}
