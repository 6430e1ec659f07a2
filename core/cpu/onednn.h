// The door to oneDNN: its types are named in this header and in the sources of core/cpu that include it, nowhere else.
//
// Written for the C interface of oneDNN 2.x. An `Executable` is a primitive with the memory objects of its arguments,
// which live as long as it does: a call only sets their pointers. Executables are kept in bounded caches by the problem
// they were made for. Everything here is used under one lock, since memory objects are shared.
#pragma once

#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_debug.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/cpu/allocator.h"
#include "core/storage.h"

// Calls oneDNN and throws BackendError with expression, status and place when it fails.
#define DNN_ONEDNN(call) ::dnn::cpu::onednn::check((call), #call, __FILE__, __LINE__)

namespace dnn::cpu::onednn {

void check(dnnl_status_t status, const char* expression, const char* file, int line);

template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* handle) const {
    static_cast<void>(destroy(handle));
  }
};
using PrimitiveDesc = std::unique_ptr<dnnl_primitive_desc, Destroy<dnnl_primitive_desc_destroy>>;
using Primitive = std::unique_ptr<dnnl_primitive, Destroy<dnnl_primitive_destroy>>;
using Memory = std::unique_ptr<dnnl_memory, Destroy<dnnl_memory_destroy>>;
using Attributes = std::unique_ptr<dnnl_primitive_attr, Destroy<dnnl_primitive_attr_destroy>>;
using PostOps = std::unique_ptr<dnnl_post_ops, Destroy<dnnl_post_ops_destroy>>;
using MemoryDesc = dnnl_memory_desc_t;

dnnl_engine_t engine();
dnnl_stream_t stream();
// Held by whoever executes.
std::mutex& mutex();
// Number of threads that a primitive made now will use: part of every cache's key, since it is baked in.
int threads();
// Channels of a block in the layout that oneDNN likes best on this CPU: 16 with AVX-512, else 8.
int64_t native_block();
// Its version, "2.6.3", and the best instruction set that it uses on this CPU.
std::string version();
std::string instructions();

MemoryDesc describe(const Shape& sizes, dnnl_format_tag_t tag);
MemoryDesc describe(const Shape& nchw, detail::Layout layout);
bool same(const MemoryDesc& a, const MemoryDesc& b);
int64_t bytes_of(const MemoryDesc& desc);

// Attributes with the scratchpad provided by us.
Attributes make_attributes();

class Executable {
 public:
  Executable() = default;
  explicit Executable(const PrimitiveDesc& desc);
  explicit operator bool() const { return primitive_ != nullptr; }

  // Makes the memory object of an argument (DNNL_ARG_...).
  void bind(int argument, const MemoryDesc& desc);
  int64_t scratch_bytes() const { return scratch_bytes_; }
  // Runs with these pointers, one for each bound argument.
  void run(std::initializer_list<std::pair<int, const void*>> pointers, void* scratch) const;

 private:
  Primitive primitive_;
  std::vector<Memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
  int64_t scratch_bytes_ = 0;
};

// Copies between two layouts of the same elements; with `accumulate` adds to what is there. Empty when there is nothing
// to do.
Executable make_reorder(const MemoryDesc& from, const MemoryDesc& to, bool accumulate = false);

// A block of memory that is cut into pieces for the length of one call.
class Workspace {
 public:
  explicit Workspace(int64_t bytes) : buffer_(bytes) {}
  void* take(int64_t bytes);
  // What `take(bytes)` uses up.
  static int64_t rounded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

 private:
  Buffer buffer_;
  int64_t used_ = 0;
};

// Keeps the values of the keys used last.
template <class Key, class Value, class Hash>
class LruCache {
 public:
  explicit LruCache(size_t capacity) : capacity_(capacity) {}

  // The value of the key, made by `make()` when it is not there.
  template <class Make>
  Value& get(const Key& key, Make&& make) {
    if (const auto found = index_.find(key); found != index_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return found->second->second;
    }
    entries_.emplace_front(key, make());
    index_[key] = entries_.begin();
    if (entries_.size() > capacity_) {
      index_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return entries_.front().second;
  }
  size_t size() const { return entries_.size(); }
  void clear() { index_.clear(), entries_.clear(); }

 private:
  using Entries = std::list<std::pair<Key, Value>>;
  size_t capacity_;
  Entries entries_;
  std::unordered_map<Key, typename Entries::iterator, Hash> index_;
};

// Mixes a number into a hash.
inline void mix(size_t& hash, int64_t value) {
  hash ^= std::hash<int64_t>{}(value) + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
}

// Most primitives that a cache keeps.
inline constexpr size_t cache_capacity = 512;

}  // namespace dnn::cpu::onednn
