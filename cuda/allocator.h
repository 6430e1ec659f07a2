// The caching allocator of one GPU.
//
// Memory comes from the driver in segments: 2 MiB for small requests (up to 1 MiB), else as large as the request. A
// request takes the smallest free block that fits and splits it; a released block joins its free neighbours. Released
// memory can be handed out at once, also while kernels that use it are still waiting to run: everything that touches it
// later runs on the same stream. When the driver refuses, segments that are wholly free go back and it is asked again.
//
// Uploads run on a stream of their own, so that the next batch arrives while this one is computed with. A few blocks
// that held uploads are therefore kept apart when they are released, each with an event behind its last use, for which
// the stream of copies waits before it writes into the block again. A training loop has two of them in turn. They count
// as cached, and go the way of all cached memory when it runs short.
//
// A step that is recorded as a graph will run again and again on the memory that it was recorded with, so nobody else
// may have that: it comes from a pool. Between `enter` and `leave` the thread that entered gets all its memory there,
// what it releases goes back there, and what the pool lacks are segments, free ones of the general stock first. When
// the pool goes, its free memory joins the general stock, and what is still in use will.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "dnn/device.h"

namespace dnn::cuda {

class Allocator {
 public:
  // `index` is for messages; memory is used on `stream`. With DNN_CUDA_NO_CACHE=1 every request goes to the driver with
  // its exact size, so that tools like compute-sanitizer see the end of each tensor.
  explicit Allocator(int index, cudaStream_t stream = nullptr);

  void* allocate(int64_t bytes);  // aligned to 256 bytes or more, null for 0 bytes; throws OutOfMemory
  // The same, for an upload: once released, the block may be kept for `take_for_upload`.
  void* allocate_for_upload(int64_t bytes);
  // A kept block of about that size, for whose last use the stream `copies` now waits. Null when there is none, or when
  // the only one is still in use on the device: then another one should come into rotation.
  void* take_for_upload(int64_t bytes, cudaStream_t copies);
  void release(void* data) noexcept;
  void release_cached() noexcept;
  MemoryStats stats() const;
  void reset_peak();
  void set_caching(bool caching);

  struct Pool;
  Pool* make_pool();
  void release_pool(Pool* pool) noexcept;
  void enter(Pool* pool);  // one at a time
  void leave() noexcept;

 private:
  // A piece of a segment; neighbours are linked.
  struct Block {
    char* data = nullptr;
    int64_t size = 0;
    int64_t requested = 0;
    bool small = false;
    bool used = false;
    bool cached = true;  // false: goes straight back to the driver
    bool upload = false;
    Pool* pool = nullptr;  // null: the general stock
    Block* before = nullptr;
    Block* after = nullptr;
  };
  struct BySize {
    bool operator()(const Block* a, const Block* b) const {
      return a->size != b->size ? a->size < b->size : a->data < b->data;
    }
  };

  using Free = std::set<Block*, BySize>[2];  // large, small

  struct Kept {
    Block* block = nullptr;
    cudaEvent_t last_use = nullptr;
  };
  static constexpr size_t kept_of_a_size = 2;
  static constexpr size_t kept_limit = 8;

  Block* take(int64_t bytes);
  Block* take_segment(Pool* pool, int64_t size, bool small);
  Block* take_free(Pool* pool, int64_t size, bool small);
  Block* adopt(Pool& pool, int64_t size, bool small);
  Free& free_of(Pool* pool);
  void put_free(Block* block);
  bool keep(Block* block) noexcept;
  void let_go(std::vector<Kept>::iterator kept);
  void split(Block* block, int64_t size);
  Block* join(Block* block);
  void give_back_segments();
  void erase(Block* block);
  [[noreturn]] void throw_out_of_memory(int64_t bytes) const;

  const int index_;
  const cudaStream_t stream_;
  bool caching_;
  mutable std::mutex mutex_;
  std::map<void*, std::unique_ptr<Block>> blocks_;  // all, by address
  Free free_;
  Pool* entered_ = nullptr;
  std::thread::id entered_by_;
  std::vector<Kept> kept_;           // in the order of their release
  std::vector<cudaEvent_t> events_;  // not in use
  MemoryStats stats_;
};

}  // namespace dnn::cuda
