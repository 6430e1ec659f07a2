// Best fit with splitting and joining.
#include "cuda/allocator.h"

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "dnn/error.h"

namespace dnn::cuda {

namespace {

constexpr int64_t granularity = 512;
constexpr int64_t small_limit = int64_t{1} << 20;
constexpr int64_t segment_size = int64_t{1} << 21;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

}  // namespace

Allocator::Allocator(int index) : index_(index) {
  const char* no_cache = std::getenv("DNN_CUDA_NO_CACHE");
  caching_ = no_cache == nullptr || std::string_view(no_cache) != "1";
}

void* Allocator::allocate(int64_t bytes) {
  if (bytes == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  if (bytes < 0 || bytes > INT64_MAX - segment_size) throw_out_of_memory(bytes);
  const int64_t size = caching_ ? round_up(bytes, granularity) : bytes;
  const bool small = size <= small_limit;
  Block* block = caching_ ? take_free(size, small) : nullptr;
  if (block == nullptr) {
    const int64_t segment = !caching_ ? size : small ? segment_size : round_up(size, segment_size);
    auto fresh = std::make_unique<Block>();
    fresh->data = ask_driver(segment, bytes);
    fresh->size = segment;
    fresh->small = small;
    fresh->cached = caching_;
    block = fresh.get();
    blocks_.emplace(block->data, std::move(fresh));
    stats_.reserved += segment;
  }
  if (block->cached) split(block, size);
  block->used = true;
  block->requested = bytes;
  stats_.in_use += bytes;
  stats_.peak = std::max(stats_.peak, stats_.in_use);
  return block->data;
}

void Allocator::release(void* data) noexcept {
  if (data == nullptr) return;
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(data);
  if (found == blocks_.end() || !found->second->used) return;
  Block* block = found->second.get();
  stats_.in_use -= block->requested;
  block->used = false;
  if (block->cached) {
    block = join(block);
    free_[block->small].insert(block);
  } else {
    stats_.reserved -= block->size;
    cudaFree(block->data);
    erase(block);
  }
}

void Allocator::release_cached() noexcept {
  const std::lock_guard lock(mutex_);
  give_back_segments();
}

MemoryStats Allocator::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Allocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  stats_.peak = stats_.in_use;
}

void Allocator::set_caching(bool caching) {
  const std::lock_guard lock(mutex_);
  caching_ = caching;
}

char* Allocator::ask_driver(int64_t size, int64_t requested) {
  void* data = nullptr;
  ++stats_.system_requests;
  if (cudaMalloc(&data, static_cast<size_t>(size)) == cudaSuccess) return static_cast<char*>(data);
  cudaGetLastError();  // the refusal is handled here, later calls shall not see it
  give_back_segments();
  ++stats_.system_requests;
  if (cudaMalloc(&data, static_cast<size_t>(size)) == cudaSuccess) return static_cast<char*>(data);
  cudaGetLastError();
  throw_out_of_memory(requested);
}

void Allocator::throw_out_of_memory(int64_t bytes) const {
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  throw OutOfMemory(
      fmt::format("allocate: {} bytes do not fit on cuda:{}, expected at most the {} bytes that are free of {} ({} "
                  "bytes in use, {} cached)",
                  bytes, index_, free, total, stats_.in_use, stats_.reserved - stats_.in_use));
}

Allocator::Block* Allocator::take_free(int64_t size, bool small) {
  Block wanted;
  wanted.size = size;
  const auto found = free_[small].lower_bound(&wanted);
  if (found == free_[small].end()) return nullptr;
  Block* block = *found;
  free_[small].erase(found);
  return block;
}

// Cuts the block down to `size` when the rest is worth keeping.
void Allocator::split(Block* block, int64_t size) {
  const int64_t rest = block->size - size;
  if (rest < (block->small ? granularity : small_limit)) return;
  auto tail = std::make_unique<Block>();
  tail->data = block->data + size;
  tail->size = rest;
  tail->small = block->small;
  tail->before = block;
  tail->after = block->after;
  if (tail->after != nullptr) tail->after->before = tail.get();
  block->after = tail.get();
  block->size = size;
  free_[tail->small].insert(tail.get());
  blocks_.emplace(tail->data, std::move(tail));
}

// Swallows free neighbours; the result stands in no free list.
Allocator::Block* Allocator::join(Block* block) {
  if (block->before != nullptr && !block->before->used) {
    block = block->before;
    free_[block->small].erase(block);
  } else if (block->after == nullptr || block->after->used) {
    return block;
  }
  while (block->after != nullptr && !block->after->used) {
    Block* next = block->after;
    free_[next->small].erase(next);
    block->size += next->size;
    block->after = next->after;
    if (block->after != nullptr) block->after->before = block;
    erase(next);
  }
  return block;
}

void Allocator::give_back_segments() {
  for (auto& blocks : free_) {
    for (auto it = blocks.begin(); it != blocks.end();) {
      Block* block = *it;
      if (block->before != nullptr || block->after != nullptr) {
        ++it;
        continue;
      }
      it = blocks.erase(it);
      stats_.reserved -= block->size;
      cudaFree(block->data);  // waits for the device by itself
      erase(block);
    }
  }
}

void Allocator::erase(Block* block) { blocks_.erase(block->data); }

}  // namespace dnn::cuda
