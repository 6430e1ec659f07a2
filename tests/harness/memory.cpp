// Poisoned blocks between guard bands; see memory.h.
#include "tests/harness/memory.h"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/kernels/runtime.h"
#include "dnn/device.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace dnn::test::memory {

namespace {

constexpr int64_t band = 256;  // keeps every alignment that a device promises
// As a float of any width 0xffff... is NaN, as an integer -1.
constexpr std::byte poison{0xff};

struct Block {
  DeviceType type;
  int index;
  int64_t bytes;
};

struct State {
  std::mutex mutex;
  detail::DeviceRuntime originals[device_type_count];
  std::unordered_map<std::byte*, Block> blocks;
  std::string faults;
  std::exception_ptr pending;  // what a look at the bands of a GPU brought to light: a bad label, say
};

State& state() {
  static State* all = new State;  // outlives static tensors
  return *all;
}

// What the host may touch directly; the rest goes through the device's copy.
void write_poison(const Block& block, std::byte* start, int64_t bytes) {
  const std::vector<std::byte> pattern(static_cast<size_t>(bytes), poison);
  const Device device(block.type, block.index);
  state().originals[static_cast<size_t>(block.type)].copy(start, device, pattern.data(), Device::cpu(), bytes);
  if (!device.is_cpu()) state().originals[static_cast<size_t>(block.type)].synchronize(block.index);
}

void protect([[maybe_unused]] std::byte* data, [[maybe_unused]] const Block& block, [[maybe_unused]] bool on) {
#ifdef __SANITIZE_ADDRESS__
  if (block.type != DeviceType::cpu) return;
  for (std::byte* start : {data - band, data + block.bytes}) {
    if (on) {
      ASAN_POISON_MEMORY_REGION(start, band);
    } else {
      ASAN_UNPOISON_MEMORY_REGION(start, band);
    }
  }
#endif
}

// A copy to the host reports what earlier kernels found. That is no business of the bands: the next wait throws it.
bool read(std::byte* to, const std::byte* from, const Block& block, int64_t bytes) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      state().originals[static_cast<size_t>(block.type)].copy(to, Device::cpu(), from, Device(block.type, block.index),
                                                              bytes);
      return true;
    } catch (...) {
      if (!state().pending) state().pending = std::current_exception();
    }
  }
  return false;
}

void throw_pending() {
  if (state().pending) std::rethrow_exception(std::exchange(state().pending, nullptr));
}

template <DeviceType type>
void copy(void* to, Device to_device, const void* from, Device from_device, int64_t bytes) {
  state().originals[static_cast<size_t>(type)].copy(to, to_device, from, from_device, bytes);
  if (to_device.is_cpu()) throw_pending();
}

template <DeviceType type>
void synchronize(int index) {
  state().originals[static_cast<size_t>(type)].synchronize(index);
  throw_pending();
}

void check_bands(std::byte* data, const Block& block) {
  const Device device(block.type, block.index);
  protect(data, block, false);
  for (const bool behind : {false, true}) {
    std::vector<std::byte> bytes(static_cast<size_t>(band));
    std::byte* start = behind ? data + block.bytes : data - band;
    if (!read(bytes.data(), start, block, band)) continue;
    const auto damaged = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b != poison; });
    if (damaged == bytes.end()) continue;
    const int64_t at = damaged - bytes.begin() - (behind ? 0 : band);
    state().faults += "a kernel wrote " + std::to_string(behind ? at : -at) + " bytes " +
                      (behind ? "behind" : "before") + " a block of " + std::to_string(block.bytes) + " bytes on " +
                      device.str() + "\n";
    write_poison(block, start, band);
  }
  protect(data, block, true);
}

template <DeviceType type>
void* allocate(int64_t bytes, int index) {
  State& all = state();
  auto* start = static_cast<std::byte*>(all.originals[static_cast<size_t>(type)].allocate(bytes + 2 * band, index));
  const Block block{type, index, bytes};
  write_poison(block, start, bytes + 2 * band);
  protect(start + band, block, true);
  std::lock_guard lock(all.mutex);
  all.blocks.emplace(start + band, block);
  return start + band;
}

template <DeviceType type>
void release(void* pointer, int64_t bytes, int index) noexcept {
  State& all = state();
  auto* data = static_cast<std::byte*>(pointer);
  std::unique_lock lock(all.mutex);
  const auto found = all.blocks.find(data);
  if (found == all.blocks.end()) {  // from before `install`
    lock.unlock();
    all.originals[static_cast<size_t>(type)].release(pointer, bytes, index);
    return;
  }
  if (found->second.bytes != bytes)
    all.faults += "a block of " + std::to_string(found->second.bytes) + " bytes was released as one of " +
                  std::to_string(bytes) + "\n";
  const Block block = found->second;
  check_bands(data, block);
  protect(data, block, false);
  all.blocks.erase(found);
  lock.unlock();
  all.originals[static_cast<size_t>(type)].release(data - band, block.bytes + 2 * band, index);
}

template <DeviceType type>
void wrap() {
  detail::DeviceRuntime& table = detail::runtime_table(type);
  if (table.allocate == nullptr) return;
  state().originals[static_cast<size_t>(type)] = table;
  table.allocate = allocate<type>;
  table.release = release<type>;
  table.upload = nullptr;  // it would allocate by itself
  table.copy = copy<type>;
  table.synchronize = synchronize<type>;
}

}  // namespace

void install() {
  static const bool once = [] {
    detail::ensure_installed();
    wrap<DeviceType::cpu>();
    wrap<DeviceType::cuda>();
    return true;
  }();
  static_cast<void>(once);
}

std::string faults() {
  State& all = state();
  std::lock_guard lock(all.mutex);
  for (const auto& [data, block] : all.blocks) check_bands(data, block);
  return std::exchange(all.faults, {});
}

int64_t live_blocks() {
  State& all = state();
  std::lock_guard lock(all.mutex);
  return static_cast<int64_t>(all.blocks.size());
}

}  // namespace dnn::test::memory
