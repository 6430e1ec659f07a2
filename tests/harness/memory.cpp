// Poisoned blocks between guard bands; see memory.h.
#include "tests/harness/memory.h"

#include <algorithm>
#include <cstddef>
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

void check_bands(std::byte* data, const Block& block) {
  const Device device(block.type, block.index);
  protect(data, block, false);
  for (const bool behind : {false, true}) {
    std::vector<std::byte> bytes(static_cast<size_t>(band));
    std::byte* start = behind ? data + block.bytes : data - band;
    state().originals[static_cast<size_t>(block.type)].copy(bytes.data(), Device::cpu(), start, device, band);
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
