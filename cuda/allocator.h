// The caching allocator of one GPU.
//
// Memory comes from the driver in segments: 2 MiB for small requests (up to 1 MiB), else as large as the request. A
// request takes the smallest free block that fits and splits it; a released block joins its free neighbours. Released
// memory can be handed out at once, also while kernels that use it are still waiting to run: everything that touches it
// later runs on the same stream. When the driver refuses, segments that are wholly free go back and it is asked again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "dnn/device.h"

namespace dnn::cuda {

class Allocator {
 public:
  // `index` is for messages. With DNN_CUDA_NO_CACHE=1 every request goes to the driver with its exact size, so that
  // tools like compute-sanitizer see the end of each tensor.
  explicit Allocator(int index);

  void* allocate(int64_t bytes);  // aligned to 256 bytes or more, null for 0 bytes; throws OutOfMemory
  void release(void* data) noexcept;
  void release_cached() noexcept;
  MemoryStats stats() const;
  void reset_peak();
  void set_caching(bool caching);

 private:
  // A piece of a segment; neighbours are linked.
  struct Block {
    char* data = nullptr;
    int64_t size = 0;
    int64_t requested = 0;
    bool small = false;
    bool used = false;
    bool cached = true;  // false: goes straight back to the driver
    Block* before = nullptr;
    Block* after = nullptr;
  };
  struct BySize {
    bool operator()(const Block* a, const Block* b) const {
      return a->size != b->size ? a->size < b->size : a->data < b->data;
    }
  };

  char* ask_driver(int64_t size, int64_t requested);
  Block* take_free(int64_t size, bool small);
  void split(Block* block, int64_t size);
  Block* join(Block* block);
  void give_back_segments();
  void erase(Block* block);
  [[noreturn]] void throw_out_of_memory(int64_t bytes) const;

  const int index_;
  bool caching_;
  mutable std::mutex mutex_;
  std::map<void*, std::unique_ptr<Block>> blocks_;  // all, by address
  std::set<Block*, BySize> free_[2];                // large, small
  MemoryStats stats_;
};

}  // namespace dnn::cuda
