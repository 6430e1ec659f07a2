// Under AddressSanitizer free blocks and the unused tail of a block are poisoned: the cache would hide such faults.
#include "core/cpu/allocator.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "dnn/error.h"

#ifdef __SANITIZE_ADDRESS__
extern "C" void __asan_poison_memory_region(const volatile void* data, size_t bytes);
extern "C" void __asan_unpoison_memory_region(const volatile void* data, size_t bytes);
#endif

namespace dnn::cpu {
namespace {

constexpr int64_t alignment = 64;
constexpr int64_t small_limit = 512;
// Beyond it block sizes would leave 64 bits; no machine has it.
constexpr int64_t largest_request = int64_t{1} << 60;

// Linux hands out more memory than there is and kills the process that uses it, so the limit has to be known before:
// the machine's memory, or less in a container.
int64_t memory_of_this_machine() {
  const int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  int64_t limit = pages > 0 && page > 0 ? pages * page : std::numeric_limits<int64_t>::max();
  int64_t container = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> container && container > 0) limit = std::min(limit, container);
  return limit;
}

#ifdef __SANITIZE_ADDRESS__
void poison(const void* data, int64_t bytes) { __asan_poison_memory_region(data, static_cast<size_t>(bytes)); }
void unpoison(const void* data, int64_t bytes) { __asan_unpoison_memory_region(data, static_cast<size_t>(bytes)); }
#else
void poison(const void*, int64_t) {}
void unpoison(const void*, int64_t) {}
#endif

std::string mebibytes(int64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

}  // namespace

Allocator::Allocator(int64_t limit) : limit_(limit < 0 ? memory_of_this_machine() : limit) {}

int64_t Allocator::block_size(int64_t bytes) {
  const auto round_up = [](int64_t value, int64_t step) { return (value + step - 1) / step * step; };
  if (bytes <= small_limit) return round_up(std::max<int64_t>(bytes, 1), alignment);
  return round_up(bytes, static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes - 1))) / 8);
}

int Allocator::class_index(int64_t block) {
  if (block <= small_limit) return static_cast<int>(block / alignment) - 1;
  const int power = std::bit_width(static_cast<uint64_t>(block - 1)) - 1;  // 2^power < block <= 2^(power + 1)
  const int64_t step = (block - (int64_t{1} << power)) >> (power - 3);     // 1 .. 8
  return 8 + 8 * (power - 9) + static_cast<int>(step) - 1;
}

void* Allocator::take_from_system(int64_t block) noexcept {
  if (block > limit_ - stats_.reserved) return nullptr;
  void* data = std::aligned_alloc(alignment, static_cast<size_t>(block));
  if (data == nullptr) return nullptr;
  stats_.reserved += block;
  stats_.system_requests += 1;
  return data;
}

void* Allocator::allocate(int64_t bytes, Purpose purpose) {
  if (bytes == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto describe = [&] {
    return fmt::format("cpu: out of memory, asked for {} ({} in use, {} cached, limit {})", mebibytes(bytes),
                       mebibytes(stats_.reserved - cached_), mebibytes(cached_), mebibytes(limit_));
  };
  if (bytes < 0 || bytes > largest_request) throw OutOfMemory(describe());
  const int64_t block = block_size(bytes);
  const int index = class_index(block);
  void* data = free_[index];
  if (data != nullptr) {
    unpoison(data, block);
    free_[index] = free_[index]->next;
    cached_ -= block;
  } else {
    class_bytes_[index] = block;
    data = take_from_system(block);
    if (data == nullptr) {
      const std::string text = describe();
      release_cached_locked();
      data = take_from_system(block);
      if (data == nullptr) throw OutOfMemory(text);
    }
  }
  poison(static_cast<char*>(data) + bytes, block - bytes);
  if (purpose == Purpose::tensor) {
    stats_.in_use += bytes;
    stats_.peak = std::max(stats_.peak, stats_.in_use);
  }
  return data;
}

void Allocator::release(void* data, int64_t bytes, Purpose purpose) noexcept {
  if (data == nullptr) return;
  const std::lock_guard lock(mutex_);
  const int64_t block = block_size(bytes);
  const int index = class_index(block);
  unpoison(data, block);
  free_[index] = new (data) FreeBlock{free_[index]};
  // The link stays readable: the search for leaks follows no pointers in poisoned memory.
  poison(static_cast<char*>(data) + sizeof(FreeBlock), block - static_cast<int64_t>(sizeof(FreeBlock)));
  cached_ += block;
  if (purpose == Purpose::tensor) stats_.in_use -= bytes;
}

void Allocator::discard(void* data, int64_t bytes, Purpose purpose) noexcept {
  if (data == nullptr) return;
  const std::lock_guard lock(mutex_);
  const int64_t block = block_size(bytes);
  unpoison(data, block);
  std::free(data);
  stats_.reserved -= block;
  if (purpose == Purpose::tensor) stats_.in_use -= bytes;
}

void Allocator::release_cached_locked() noexcept {
  for (int index = 0; index < class_count; ++index) {
    while (free_[index] != nullptr) {
      FreeBlock* block = free_[index];
      unpoison(block, class_bytes_[index]);
      free_[index] = block->next;
      std::free(block);
      stats_.reserved -= class_bytes_[index];
    }
  }
  cached_ = 0;
}

void Allocator::release_cached() noexcept {
  const std::lock_guard lock(mutex_);
  release_cached_locked();
}

MemoryStats Allocator::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Allocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  stats_.peak = stats_.in_use;
}

Allocator& allocator() {
  static Allocator* const instance = new Allocator;
  return *instance;
}

}  // namespace dnn::cpu
