// Best fit with splitting and joining.
#include "cuda/allocator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "cuda/check.h"
#include "dnn/error.h"

namespace dnn::cuda {

namespace {

constexpr int64_t granularity = 512;
constexpr int64_t small_limit = int64_t{1} << 20;
constexpr int64_t segment_size = int64_t{1} << 21;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// While it lives, this thread may ask the driver for memory although it records a stream: nothing of that is recorded.
class Unrecorded {
 public:
  Unrecorded() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~Unrecorded() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  Unrecorded(const Unrecorded&) = delete;
  Unrecorded& operator=(const Unrecorded&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

}  // namespace

struct Allocator::Pool {
  Free free;
};

Allocator::Allocator(int index, cudaStream_t stream) : index_(index), stream_(stream) {
  const char* no_cache = std::getenv("DNN_CUDA_NO_CACHE");
  caching_ = no_cache == nullptr || std::string_view(no_cache) != "1";
  // `release` must not need host memory for them; there is at most one event more than blocks that are kept.
  kept_.reserve(kept_limit + 1);
  events_.reserve(kept_limit + 2);
}

void* Allocator::allocate(int64_t bytes) {
  if (bytes == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  return take(bytes)->data;
}

void* Allocator::allocate_for_upload(int64_t bytes) {
  if (bytes == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  if (events_.empty()) {  // made here, where the GPU is the current one, for `release`, where it may be another
    cudaEvent_t event = nullptr;
    DNN_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    events_.push_back(event);
  }
  Block* block = take(bytes);
  block->upload = block->cached;
  return block->data;
}

Allocator::Block* Allocator::take(int64_t bytes) {
  if (bytes < 0 || bytes > INT64_MAX - segment_size) throw_out_of_memory(bytes);
  const int64_t size = caching_ ? round_up(bytes, granularity) : bytes;
  const bool small = size <= small_limit;
  const int64_t segment = !caching_ ? size : small ? segment_size : round_up(size, segment_size);
  Pool* const pool = entered_by_ == std::this_thread::get_id() ? entered_ : nullptr;
  const auto take_cached = [&]() -> Block* {
    if (!caching_) return nullptr;
    Block* const found = take_free(pool, size, small);
    return found != nullptr || pool == nullptr ? found : adopt(*pool, size, small);
  };
  Block* block = take_cached();
  if (block == nullptr) block = take_segment(pool, segment, small);
  if (block == nullptr) {
    while (!kept_.empty()) let_go(kept_.begin());
    block = take_cached();
  }
  if (block == nullptr) {
    give_back_segments();
    block = take_segment(pool, segment, small);
  }
  if (block == nullptr && segment > size) block = take_segment(pool, size, small);
  if (block == nullptr) throw_out_of_memory(bytes);
  if (block->cached) split(block, size);
  block->used = true;
  block->requested = bytes;
  stats_.in_use += bytes;
  stats_.peak = std::max(stats_.peak, stats_.in_use);
  return block;
}

// Null when the driver has no such memory.
Allocator::Block* Allocator::take_segment(Pool* pool, int64_t size, bool small) {
  auto fresh = std::make_unique<Block>();
  fresh->size = size;
  fresh->small = small;
  fresh->cached = caching_;
  fresh->pool = pool;
  void* data = nullptr;
  ++stats_.system_requests;
  const Unrecorded unrecorded;
  const cudaError_t error = cudaMalloc(&data, static_cast<size_t>(fresh->size));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // the refusal is handled here, later calls shall not see it
    return nullptr;
  }
  DNN_CUDA_CHECK(error);
  fresh->data = static_cast<char*>(data);
  Block* block = fresh.get();
  blocks_.emplace(block->data, std::move(fresh));
  stats_.reserved += block->size;
  return block;
}

void Allocator::release(void* data) noexcept {
  if (data == nullptr) return;
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(data);
  if (found == blocks_.end() || !found->second->used) return;
  Block* block = found->second.get();
  stats_.in_use -= std::exchange(block->requested, 0);
  if (block->upload && keep(block)) return;
  block->upload = false;
  if (block->cached) {
    put_free(block);
  } else if (block->pool != nullptr) {
    block->used = false;  // the graph will write there again
  } else {
    const Unrecorded unrecorded;
    stats_.reserved -= block->size;
    cudaFree(block->data);
    erase(block);
  }
}

void Allocator::release_cached() noexcept {
  const std::lock_guard lock(mutex_);
  while (!kept_.empty()) let_go(kept_.begin());
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
  while (!caching && !kept_.empty()) let_go(kept_.begin());
}

// ---- pools ----------------------------------------------------------------------------------------------------------

Allocator::Pool* Allocator::make_pool() { return new Pool; }

void Allocator::enter(Pool* pool) {
  const std::lock_guard lock(mutex_);
  entered_ = pool;
  entered_by_ = std::this_thread::get_id();
}

void Allocator::leave() noexcept {
  const std::lock_guard lock(mutex_);
  entered_ = nullptr;
  entered_by_ = {};
}

// A segment of the general stock that is wholly free.
Allocator::Block* Allocator::adopt(Pool& pool, int64_t size, bool small) {
  Block wanted;
  wanted.size = size;
  const auto whole = [](const Block* block) { return block->before == nullptr && block->after == nullptr; };
  const auto found = std::find_if(free_[small].lower_bound(&wanted), free_[small].end(), whole);
  if (found == free_[small].end()) return nullptr;
  Block* block = *found;
  free_[small].erase(found);
  block->pool = &pool;
  return block;
}

void Allocator::release_pool(Pool* pool) noexcept {
  const std::lock_guard lock(mutex_);
  for (const bool small : {false, true}) free_[small].merge(pool->free[small]);
  for (auto it = blocks_.begin(); it != blocks_.end();) {
    Block* const block = it++->second.get();
    if (block->pool != pool) continue;
    block->pool = nullptr;
    if (block->cached || block->used) continue;
    const Unrecorded unrecorded;
    stats_.reserved -= block->size;
    cudaFree(block->data);
    erase(block);
  }
  delete pool;
}

// ---- blocks of uploads ----------------------------------------------------------------------------------------------

void* Allocator::take_for_upload(int64_t bytes, cudaStream_t copies) {
  const std::lock_guard lock(mutex_);
  const auto fits = [&](const Kept& kept) { return kept.block->size >= bytes && kept.block->size / 2 <= bytes; };
  const auto oldest = std::find_if(kept_.begin(), kept_.end(), fits);
  if (oldest == kept_.end()) return nullptr;
  const cudaError_t state = cudaEventQuery(oldest->last_use);
  if (state == cudaErrorNotReady) {
    if (std::count_if(oldest, kept_.end(), fits) < static_cast<std::ptrdiff_t>(kept_of_a_size)) return nullptr;
    DNN_CUDA_CHECK(cudaStreamWaitEvent(copies, oldest->last_use));
  } else {
    DNN_CUDA_CHECK(state);
  }
  Block* block = oldest->block;
  events_.push_back(oldest->last_use);
  kept_.erase(oldest);
  block->requested = bytes;
  stats_.in_use += bytes;
  stats_.peak = std::max(stats_.peak, stats_.in_use);
  return block->data;
}

// False when the block should be free like any other.
bool Allocator::keep(Block* block) noexcept {
  if (events_.empty() || entered_ != nullptr) return false;  // no event of a stream that is being recorded
  if (cudaEventRecord(events_.back(), stream_) != cudaSuccess) {
    cudaGetLastError();  // handled here, later calls shall not see it
    return false;
  }
  kept_.push_back({block, events_.back()});
  events_.pop_back();
  const auto alike = [&](const Kept& kept) { return kept.block->size == block->size; };
  if (std::count_if(kept_.begin(), kept_.end(), alike) > static_cast<std::ptrdiff_t>(kept_of_a_size))
    let_go(std::find_if(kept_.begin(), kept_.end(), alike));
  if (kept_.size() > kept_limit) let_go(kept_.begin());
  return true;
}

// Makes a kept block free like any other: its last upload and all uses of that are behind it on the stream.
void Allocator::let_go(std::vector<Kept>::iterator kept) {
  Block* block = kept->block;
  events_.push_back(kept->last_use);
  kept_.erase(kept);
  block->upload = false;
  put_free(block);
}

// ---- free blocks ----------------------------------------------------------------------------------------------------

void Allocator::put_free(Block* block) {
  block->used = false;
  block = join(block);
  free_of(block->pool)[block->small].insert(block);
}

void Allocator::throw_out_of_memory(int64_t bytes) const {
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  throw OutOfMemory(
      fmt::format("allocate: {} bytes do not fit on cuda:{}, expected at most the {} bytes that are free of {} ({} "
                  "bytes in use, {} cached)",
                  bytes, index_, free, total, stats_.in_use, stats_.reserved - stats_.in_use));
}

Allocator::Free& Allocator::free_of(Pool* pool) { return pool == nullptr ? free_ : pool->free; }

Allocator::Block* Allocator::take_free(Pool* pool, int64_t size, bool small) {
  auto& free = free_of(pool)[small];
  Block wanted;
  wanted.size = size;
  const auto found = free.lower_bound(&wanted);
  if (found == free.end()) return nullptr;
  Block* block = *found;
  free.erase(found);
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
  tail->pool = block->pool;
  tail->before = block;
  tail->after = block->after;
  if (tail->after != nullptr) tail->after->before = tail.get();
  block->after = tail.get();
  block->size = size;
  free_of(tail->pool)[tail->small].insert(tail.get());
  blocks_.emplace(tail->data, std::move(tail));
}

// Swallows free neighbours; the result stands in no free list.
Allocator::Block* Allocator::join(Block* block) {
  if (block->before != nullptr && !block->before->used) {
    block = block->before;
    free_of(block->pool)[block->small].erase(block);
  } else if (block->after == nullptr || block->after->used) {
    return block;
  }
  while (block->after != nullptr && !block->after->used) {
    Block* next = block->after;
    free_of(next->pool)[next->small].erase(next);
    block->size += next->size;
    block->after = next->after;
    if (block->after != nullptr) block->after->before = block;
    erase(next);
  }
  return block;
}

void Allocator::give_back_segments() {
  const Unrecorded unrecorded;
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
