// Large blocks of the caching allocator: one range of addresses, cut into blocks that are joined again with their free
// neighbours when they come back, so that tensors of different sizes use the same memory one after the other.
//
// The smallest free block that is large enough is taken (best fit); where there is none, the range grows at its end. A
// block begins with a header of 64 bytes, which holds its size, its place and, while it is free, the links of a list of
// free blocks of about its size: taking and giving back need no other memory. Not for several threads at once.
#pragma once

#include <array>
#include <cstdint>

namespace dnn::cpu {

class Arena {
 public:
  // At most so many bytes at once; addresses are reserved with the first block, memory as it is needed.
  explicit Arena(int64_t most) : most_(most) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // A block of so many bytes, a multiple of 64, aligned to 64; null when it does not fit, or would take more than
  // `room` bytes from the system.
  void* take(int64_t bytes, int64_t room) noexcept;
  // Takes a block back.
  void release(void* data) noexcept;
  // Gives the memory of free blocks back to the system; their addresses stay.
  void give_back() noexcept;

  // Bytes taken from the system, those of them in free blocks, and how often more were asked for.
  int64_t held() const { return held_; }
  int64_t free_bytes() const { return free_bytes_; }
  int64_t requests() const { return requests_; }

  static constexpr int64_t header_bytes = 64;

 private:
  struct Block {
    int64_t bytes;           // with this header
    Block* before;           // the neighbour, null for the first
    Block *next, *previous;  // of the list, while free
    bool free;
    bool dropped;  // free, and its memory is the system's again
  };
  static_assert(sizeof(Block) <= header_bytes);
  static constexpr int list_count = 48;

  static int list_of(int64_t bytes);
  static char* address(Block* block) { return reinterpret_cast<char*>(block); }
  Block* after(Block* block) const;
  bool reserve_addresses() noexcept;
  Block* grow(int64_t bytes, int64_t room) noexcept;
  Block* best_fit(int64_t bytes, int64_t room) const;
  void cut(Block* block, int64_t bytes) noexcept;
  void join(Block* first, Block* second) noexcept;
  void link(Block* block) noexcept;
  void unlink(Block* block) noexcept;
  void hold(Block* block) noexcept;
  void drop(Block* block) noexcept;

  int64_t most_;
  char* base_ = nullptr;
  int64_t range_ = 0;   // bytes of addresses
  int64_t usable_ = 0;  // of them readable and writable
  int64_t top_ = 0;     // of them in blocks
  Block *first_ = nullptr, *last_ = nullptr;
  std::array<Block*, list_count> free_{};  // free blocks of 2^i bytes and up to 2^(i + 1)
  int64_t held_ = 0, free_bytes_ = 0, requests_ = 0;
};

}  // namespace dnn::cpu
