// The caching allocator of the CPU: freed blocks are kept by size class and handed out again, so that a training loop
// asks the system for memory in its first steps only.
//
// A power of two is divided into eight size classes, which wastes at most one eighth. A free block holds the link to
// the next one of its class in its own first bytes, so that freeing needs no memory and cannot fail.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <utility>

#include "dnn/device.h"

namespace dnn::cpu {

// Whose memory it is: `MemoryStats::in_use` counts tensors only, `reserved` everything.
enum class Purpose : uint8_t { tensor, workspace };

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
  // Gives a block back to the system at once.
  void discard(void* data, int64_t bytes, Purpose purpose = Purpose::tensor) noexcept;
  // Gives the cached blocks back to the system.
  void release_cached() noexcept;

  MemoryStats stats() const;
  void reset_peak();

  // The size of the block that a request gets: 1 to 512 bytes in steps of 64, then eight steps per power of two.
  static int64_t block_size(int64_t bytes);

 private:
  struct FreeBlock {
    FreeBlock* next;
  };
  static constexpr int class_count = 8 + 8 * 54;

  static int class_index(int64_t block);
  void release_cached_locked() noexcept;
  void* take_from_system(int64_t block) noexcept;

  mutable std::mutex mutex_;
  std::array<FreeBlock*, class_count> free_{};
  std::array<int64_t, class_count> class_bytes_{};
  int64_t limit_;
  int64_t cached_ = 0;
  MemoryStats stats_;
};

// The allocator behind every CPU tensor; never destroyed, since tensors may outlive the statics.
Allocator& allocator();

// Memory of the CPU kernels themselves, from the same allocator.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t bytes) : data_(allocator().allocate(bytes, Purpose::workspace)), bytes_(bytes) {}
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Buffer() { allocator().release(data_, bytes_, Purpose::workspace); }

  // Gives the memory back to the system, where nobody is going to ask for that size again.
  void discard() { allocator().discard(std::exchange(data_, nullptr), std::exchange(bytes_, 0), Purpose::workspace); }

  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  int64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace dnn::cpu
