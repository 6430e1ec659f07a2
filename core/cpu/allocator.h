// The caching allocator of the CPU: freed blocks are kept and handed out again, so that a training loop asks the system
// for memory in its first steps only.
//
// Blocks of up to 1 MiB are kept by size class. A power of two is divided into eight classes, which wastes at most one
// eighth. A free block holds the link to the next one of its class in its own first bytes, so that freeing needs no
// memory and cannot fail. Larger blocks lie in an arena (arena.h).
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <utility>

#include "core/cpu/arena.h"
#include "dnn/device.h"

namespace dnn::cpu {

// Whose memory it is: `MemoryStats::in_use` counts tensors only, `reserved` everything. What outlives many steps
// (packed weights) is `lasting` and lies apart, so as not to cut the memory that tensors use in turn to pieces.
enum class Purpose : uint8_t { tensor, workspace, lasting };

class Allocator {
 public:
  // `limit`: most bytes to take from the system, below 0 for the memory of this machine.
  explicit Allocator(int64_t limit = -1);
  ~Allocator() { release_cached(); }
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // A block of at least so many bytes, aligned to 64; null for 0 bytes. Throws OutOfMemory, after the cached blocks
  // have been given back.
  void* allocate(int64_t bytes, Purpose purpose = Purpose::tensor);
  // Takes a block back into the cache; `bytes` and `purpose` as asked.
  void release(void* data, int64_t bytes, Purpose purpose = Purpose::tensor) noexcept;
  // Gives the cached blocks back to the system.
  void release_cached() noexcept;

  MemoryStats stats() const;
  void reset_peak();

  // The size of the block that a request gets: 1 to 512 bytes in steps of 64, then eight steps per power of two, beyond
  // 1 MiB again in steps of 64.
  static int64_t block_size(int64_t bytes);

 private:
  struct FreeBlock {
    FreeBlock* next;
  };
  static constexpr int class_count = 8 + 8 * 11;

  static int class_index(int64_t block);
  void release_cached_locked() noexcept;
  void* take(int64_t block, Purpose purpose) noexcept;
  Arena& arena(Purpose purpose) { return purpose == Purpose::lasting ? lasting_ : large_; }
  int64_t cached() const { return cached_small_ + large_.free_bytes() + lasting_.free_bytes(); }
  int64_t reserved() const { return reserved_small_ + large_.held() + lasting_.held(); }

  mutable std::mutex mutex_;
  std::array<FreeBlock*, class_count> free_{};
  std::array<int64_t, class_count> class_bytes_{};
  int64_t limit_;
  int64_t reserved_small_ = 0, cached_small_ = 0;
  Arena large_, lasting_;
  MemoryStats stats_;
};

// The allocator behind every CPU tensor; never destroyed, since tensors may outlive the statics.
Allocator& allocator();

// Memory of the CPU kernels themselves, from the same allocator.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t bytes, Purpose purpose = Purpose::workspace)
      : data_(allocator().allocate(bytes, purpose)), bytes_(bytes), purpose_(purpose) {}
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)), purpose_(other.purpose_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(purpose_, other.purpose_);
    return *this;
  }
  ~Buffer() { allocator().release(data_, bytes_, purpose_); }

  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  int64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  int64_t bytes_ = 0;
  Purpose purpose_ = Purpose::workspace;
};

}  // namespace dnn::cpu
