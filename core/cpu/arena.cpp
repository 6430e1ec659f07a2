// Growing, cutting and joining. Pages have 2 MiB where the system has them: a training step touches many, and each is a
// fault at first and an entry in the processor's tables later.
#include "core/cpu/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <new>

#include "core/cpu/poison.h"

namespace dnn::cpu {

namespace {

constexpr int64_t page = int64_t{2} << 20;
constexpr int64_t smallest_rest = int64_t{1} << 16;  // less is left with the block that it would be cut from

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

}  // namespace

Arena::~Arena() {
  if (base_ == nullptr) return;
  unpoison(base_, usable_);
  munmap(base_, static_cast<size_t>(range_));
}

int Arena::list_of(int64_t bytes) {
  return std::min(static_cast<int>(std::bit_width(static_cast<uint64_t>(bytes))) - 1, list_count - 1);
}

Arena::Block* Arena::after(Block* block) const {
  return block == last_ ? nullptr : reinterpret_cast<Block*>(address(block) + block->bytes);
}

// Twice what can be held, since free blocks between others take addresses too; less where the process is not allowed so
// many.
bool Arena::reserve_addresses() noexcept {
  const int64_t wanted = round_up(std::min(most_, int64_t{1} << 44) * 2, page) + page;
  for (int64_t bytes = wanted; base_ == nullptr && bytes >= 2 * page; bytes = round_up(bytes / 2, page)) {
    void* const place =
        mmap(nullptr, static_cast<size_t>(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) continue;
    base_ = static_cast<char*>(place);
    range_ = bytes;
    // The first block lies on a large page.
    top_ = usable_ = round_up(static_cast<int64_t>(reinterpret_cast<uintptr_t>(base_)), page) -
                     static_cast<int64_t>(reinterpret_cast<uintptr_t>(base_));
  }
  return base_ != nullptr;
}

// A free block of at least so many bytes at the end.
Arena::Block* Arena::grow(int64_t bytes, int64_t room) noexcept {
  if (base_ == nullptr && !reserve_addresses()) return nullptr;
  Block* tail = last_ != nullptr && last_->free ? last_ : nullptr;
  const int64_t more = bytes - (tail != nullptr ? tail->bytes : 0);
  if (more <= 0) return nullptr;  // it is large enough, but there is no room for its memory
  const int64_t cost = more + (tail != nullptr && tail->dropped ? tail->bytes : 0);
  if (cost > room || top_ + more > range_) return nullptr;
  if (top_ + more > usable_) {
    const int64_t step = std::min(round_up(top_ + more - usable_, page), range_ - usable_);
    if (mprotect(base_ + usable_, static_cast<size_t>(step), PROT_READ | PROT_WRITE) != 0) return nullptr;
#ifdef MADV_HUGEPAGE
    madvise(base_ + usable_, static_cast<size_t>(step), MADV_HUGEPAGE);
#endif
    usable_ += step;
  }
  requests_ += 1;
  if (tail != nullptr) {
    unlink(tail);
    hold(tail);
    poison(base_ + top_, more);
    tail->bytes += more;
  } else {
    tail = new (base_ + top_) Block{more, last_, nullptr, nullptr, false, false};
    poison(address(tail) + header_bytes, more - header_bytes);
    last_ = tail;
    if (first_ == nullptr) first_ = tail;
  }
  held_ += more;
  top_ += more;
  link(tail);
  return tail;
}

Arena::Block* Arena::best_fit(int64_t bytes, int64_t room) const {
  for (int i = list_of(bytes); i < list_count; ++i) {
    Block* best = nullptr;
    for (Block* block = free_[static_cast<size_t>(i)]; block != nullptr; block = block->next) {
      if (block->bytes < bytes) continue;
      const int64_t cost = block->bytes - bytes < smallest_rest ? block->bytes : bytes;
      if (block->dropped && cost > room) continue;
      if (best == nullptr || block->bytes < best->bytes) best = block;
    }
    if (best != nullptr) return best;
  }
  return nullptr;
}

void* Arena::take(int64_t bytes, int64_t room) noexcept {
  Block* block = best_fit(bytes + header_bytes, room);
  if (block == nullptr) block = grow(bytes + header_bytes, room);
  if (block == nullptr) return nullptr;
  unlink(block);
  cut(block, bytes + header_bytes);
  hold(block);
  return address(block) + header_bytes;
}

// Neighbours whose memory is the system's stay apart, so that it does not count as held: `give_back` joins them.
void Arena::release(void* data) noexcept {
  const auto joins = [](const Block* block) { return block != nullptr && block->free && !block->dropped; };
  auto* block = reinterpret_cast<Block*>(static_cast<char*>(data) - header_bytes);
  if (Block* const next = after(block); joins(next)) {
    unlink(next);
    join(block, next);
  }
  if (Block* const before = block->before; joins(before)) {
    unlink(before);
    join(before, block);
    block = before;
  }
  link(block);
}

void Arena::give_back() noexcept {
  for (Block* block = first_; block != nullptr; block = after(block)) {
    if (!block->free) continue;
    drop(block);
    for (Block* next = after(block); next != nullptr && next->free; next = after(block)) {
      drop(next);
      if (block->dropped != next->dropped) break;
      unlink(block), unlink(next);
      join(block, next);
      link(block);
    }
  }
}

// Gives the whole pages of a free block back, unless they are already.
void Arena::drop(Block* block) noexcept {
  static const int64_t small_page = sysconf(_SC_PAGESIZE);
  if (block->dropped) return;
  const auto place = static_cast<int64_t>(reinterpret_cast<uintptr_t>(block));
  const int64_t begin = round_up(place + header_bytes, small_page);
  const int64_t end = (place + block->bytes) / small_page * small_page;
  if (end <= begin) return;
  if (madvise(reinterpret_cast<void*>(begin), static_cast<size_t>(end - begin), MADV_DONTNEED) != 0) return;
  block->dropped = true;
  held_ -= block->bytes;
  free_bytes_ -= block->bytes;
}

// What a block has beyond `bytes` becomes a free block of its own.
void Arena::cut(Block* block, int64_t bytes) noexcept {
  const int64_t rest = block->bytes - bytes;
  if (rest < smallest_rest) return;
  Block* const next = after(block);
  char* const place = address(block) + bytes;
  unpoison(place, header_bytes);
  auto* const second = new (place) Block{rest, block, nullptr, nullptr, false, block->dropped};
  block->bytes = bytes;
  if (next != nullptr) {
    next->before = second;
  } else {
    last_ = second;
  }
  link(second);
}

// Makes one block of two neighbours that are in no list.
void Arena::join(Block* first, Block* second) noexcept {
  Block* const next = after(second);
  first->bytes += second->bytes;
  if (next != nullptr) {
    next->before = first;
  } else {
    last_ = first;
  }
}

void Arena::link(Block* block) noexcept {
  Block*& list = free_[static_cast<size_t>(list_of(block->bytes))];
  block->free = true;
  block->previous = nullptr;
  block->next = list;
  if (list != nullptr) list->previous = block;
  list = block;
  if (!block->dropped) free_bytes_ += block->bytes;
}

void Arena::unlink(Block* block) noexcept {
  if (block->previous != nullptr) block->previous->next = block->next;
  if (block->next != nullptr) block->next->previous = block->previous;
  Block*& list = free_[static_cast<size_t>(list_of(block->bytes))];
  if (list == block) list = block->next;
  block->free = false;
  if (!block->dropped) free_bytes_ -= block->bytes;
}

// Counts the memory of a block that is about to be used again.
void Arena::hold(Block* block) noexcept {
  if (!block->dropped) return;
  block->dropped = false;
  held_ += block->bytes;
}

}  // namespace dnn::cpu
