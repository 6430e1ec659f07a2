// Under AddressSanitizer free blocks and the unused tail of a block are poisoned: the cache would hide such faults.
#include "core/cpu/allocator.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "core/cpu/poison.h"
#include "dnn/error.h"

namespace dnn::cpu {
namespace {

constexpr int64_t alignment = 64;
constexpr int64_t small_limit = 512;
constexpr int64_t class_limit = int64_t{1} << 20;
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
constexpr int64_t guard = 64;  // bytes behind a large block that nobody may touch
#else
constexpr int64_t guard = 0;
#endif

std::string mebibytes(int64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

}  // namespace

Allocator::Allocator(int64_t limit)
    : limit_(limit < 0 ? memory_of_this_machine() : limit), large_(limit_), lasting_(limit_) {}

int64_t Allocator::block_size(int64_t bytes) {
  const auto round_up = [](int64_t value, int64_t step) { return (value + step - 1) / step * step; };
  if (bytes <= small_limit) return round_up(std::max<int64_t>(bytes, 1), alignment);
  if (bytes > class_limit) return round_up(bytes, alignment);
  return round_up(bytes, static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes - 1))) / 8);
}

int Allocator::class_index(int64_t block) {
  if (block <= small_limit) return static_cast<int>(block / alignment) - 1;
  const int power = std::bit_width(static_cast<uint64_t>(block - 1)) - 1;  // 2^power < block <= 2^(power + 1)
  const int64_t step = (block - (int64_t{1} << power)) >> (power - 3);     // 1 .. 8
  return 8 + 8 * (power - 9) + static_cast<int>(step) - 1;
}

// A block out of the cache or, within the limit, from the system; null when there is none.
void* Allocator::take(int64_t block, Purpose purpose) noexcept {
  const int64_t room = limit_ - reserved();
  if (block > class_limit) {
    void* const data = arena(purpose).take(block + guard, room);
    if (data != nullptr) unpoison(data, block);
    return data;
  }
  FreeBlock*& list = free_[static_cast<size_t>(class_index(block))];
  if (list != nullptr) {
    void* const data = list;
    unpoison(data, block);
    list = list->next;
    cached_small_ -= block;
    return data;
  }
  if (block > room) return nullptr;
  void* const data = std::aligned_alloc(alignment, static_cast<size_t>(block));
  if (data == nullptr) return nullptr;
  class_bytes_[static_cast<size_t>(class_index(block))] = block;
  reserved_small_ += block;
  stats_.system_requests += 1;
  return data;
}

void* Allocator::allocate(int64_t bytes, Purpose purpose) {
  if (bytes == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto describe = [&] {
    return fmt::format("cpu: out of memory, asked for {} ({} in use, {} cached, limit {})", mebibytes(bytes),
                       mebibytes(reserved() - cached()), mebibytes(cached()), mebibytes(limit_));
  };
  if (bytes < 0 || bytes > largest_request) throw OutOfMemory(describe());
  const int64_t block = block_size(bytes);
  void* data = take(block, purpose);
  if (data == nullptr) {
    const std::string text = describe();
    release_cached_locked();
    data = take(block, purpose);
    if (data == nullptr) throw OutOfMemory(text);
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
  if (block > class_limit) {
    poison(data, block);
    arena(purpose).release(data);
  } else {
    unpoison(data, block);
    FreeBlock*& list = free_[class_index(block)];
    list = new (data) FreeBlock{list};
    // The link stays readable: the search for leaks follows no pointers in poisoned memory.
    poison(static_cast<char*>(data) + sizeof(FreeBlock), block - static_cast<int64_t>(sizeof(FreeBlock)));
    cached_small_ += block;
  }
  if (purpose == Purpose::tensor) stats_.in_use -= bytes;
}

void Allocator::release_cached_locked() noexcept {
  for (FreeBlock*& list : free_) {
    while (list != nullptr) {
      FreeBlock* const block = list;
      const int64_t bytes = class_bytes_[&list - free_.data()];
      unpoison(block, bytes);
      list = block->next;
      std::free(block);
      reserved_small_ -= bytes;
      cached_small_ -= bytes;
    }
  }
  large_.give_back();
  lasting_.give_back();
}

void Allocator::release_cached() noexcept {
  const std::lock_guard lock(mutex_);
  release_cached_locked();
}

MemoryStats Allocator::stats() const {
  const std::lock_guard lock(mutex_);
  MemoryStats stats = stats_;
  stats.reserved = reserved();
  stats.system_requests += large_.requests() + lasting_.requests();
  return stats;
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
