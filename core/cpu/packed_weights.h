// Weights of convolutions as oneDNN wants them, kept until the plain weight changes or dies.
//
// An entry belongs to a storage (watched through a weak pointer: a new storage at an old address is no match), an
// offset and a format. It is valid while the storage's version and its count of raw pointers handed out are what they
// were. Used under onednn::mutex().
#pragma once

#include "core/cpu/onednn.h"

namespace dnn::cpu {

class PackedWeights {
 public:
  // The weight in that format, made by `pack(void* to)` unless it is here.
  template <class Pack>
  const void* get(const Tensor& weight, const onednn::MemoryDesc& format, Pack&& pack) {
    Entry& entry = find(weight, format);
    const detail::Storage& storage = *detail::Access::impl(weight).storage;
    if (entry.version != storage.version || entry.exposures != storage.exposures) {
      pack(entry.memory.as<void>());
      entry.version = storage.version;
      entry.exposures = storage.exposures;
    }
    return entry.memory.as<void>();
  }
  size_t size() const { return entries_.size(); }
  void clear() { entries_.clear(); }

  // Most entries kept; the one unused for longest goes first.
  static constexpr size_t capacity = 256;

 private:
  struct Entry {
    std::weak_ptr<detail::Storage> storage;
    int64_t offset = 0;
    onednn::MemoryDesc format{};
    uint64_t version = never;
    uint64_t exposures = 0;
    Buffer memory;
  };
  static constexpr uint64_t never = ~uint64_t{0};

  // The entry of that weight and format, moved to the front; a new one holds nothing valid yet.
  Entry& find(const Tensor& weight, const onednn::MemoryDesc& format);

  std::list<Entry> entries_;
};

PackedWeights& packed_weights();

}  // namespace dnn::cpu
