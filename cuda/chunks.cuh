// Lists of tensors in one launch: they are cut into chunks of 4096 elements, of which blocks take one after another.
//
// A table in device memory says for each chunk which tensor it belongs to and where it begins, and for each tensor
// where its elements and what belongs to them lie. Parameters, gradients, states and shadows keep their addresses, so
// the table of a training step is uploaded once. Threads take items of a few elements, as many as make whole packs of
// the narrowest type among the arrays that they run through.
#pragma once

#include <cstring>
#include <vector>

#include "core/storage.h"
#include "cuda/vector.cuh"

namespace dnn::cuda {

inline constexpr int64_t chunk_elements = 4096;

struct ListEntry {
  void* parameter = nullptr;
  void* gradient = nullptr;
  void* states[3] = {};    // null when the rule has none
  void* shadow = nullptr;  // null for none
  int64_t n = 0;
  // DTypes, without bytes between them that would make tables differ.
  int64_t type = 0;  // of the parameter and its states
  int64_t gradient_type = 0, shadow_type = 0;
};

struct ListChunk {
  int64_t entry;
  int64_t begin;  // a multiple of every pack's width
};

struct ChunkTable {
  const ListEntry* entries;
  const ListChunk* chunks;
  int64_t count;
};

// Calls body(entry, begin, n) for the chunks of a block: n elements of an entry from `begin` on.
template <class Body>
__device__ void for_each_chunk(const ChunkTable& table, const Body& body) {
  for (int64_t c = blockIdx.x; c < table.count; c += gridDim.x) {
    const ListChunk chunk = table.chunks[c];
    const ListEntry& entry = table.entries[chunk.entry];
    const int64_t left = entry.n - chunk.begin;
    body(entry, chunk.begin, left < chunk_elements ? left : chunk_elements);
  }
}

// Elements [item * width, (item + 1) * width) of `data`, which has n, in the type to compute in; zeros behind the end.
template <int width, class T, class C>
__device__ void load_item(const T* data, int64_t item, int64_t n, C (&values)[width]) {
  constexpr int packs = width / Pack<T>::width;
  static_assert(packs * Pack<T>::width == width);
  for (int p = 0; p < packs; ++p) {
    const Pack<T> pack = load_vec(data, item * packs + p, n);
    for (int k = 0; k < Pack<T>::width; ++k) values[p * Pack<T>::width + k] = static_cast<C>(pack.values[k]);
  }
}

// The counterpart; nothing is written behind the end.
template <int width, class T, class C>
__device__ void store_item(T* data, int64_t item, int64_t n, const C (&values)[width]) {
  constexpr int packs = width / Pack<T>::width;
  static_assert(packs * Pack<T>::width == width);
  for (int p = 0; p < packs; ++p) {
    Pack<T> pack;
    for (int k = 0; k < Pack<T>::width; ++k) pack.values[k] = static_cast<T>(values[p * Pack<T>::width + k]);
    store_vec(data, item * packs + p, n, pack);
  }
}

// A list on its way to the device.
class ChunkList {
 public:
  void add(const ListEntry& entry) {
    for (int64_t begin = 0; begin < entry.n; begin += chunk_elements)
      chunks_.push_back({static_cast<int64_t>(entries_.size()), begin});
    entries_.push_back(entry);
  }
  bool empty() const { return chunks_.empty(); }
  int64_t chunks() const { return static_cast<int64_t>(chunks_.size()); }

  ChunkTable on(Context& context) const {
    const size_t entry_bytes = entries_.size() * sizeof(ListEntry), chunk_bytes = chunks_.size() * sizeof(ListChunk);
    std::vector<std::byte> bytes(entry_bytes + chunk_bytes);
    std::memcpy(bytes.data(), entries_.data(), entry_bytes);
    std::memcpy(bytes.data() + entry_bytes, chunks_.data(), chunk_bytes);
    const auto* data = static_cast<const std::byte*>(context.table(bytes));
    return {reinterpret_cast<const ListEntry*>(data), reinterpret_cast<const ListChunk*>(data + entry_bytes), chunks()};
  }

 private:
  std::vector<ListEntry> entries_;
  std::vector<ListChunk> chunks_;
};

// A number in device memory, float32 or float64; null means 1.
struct DeviceNumber {
  const void* data = nullptr;
  bool wide = false;
  explicit DeviceNumber(const Tensor& t)
      : data(t.defined() ? detail::raw(t) : nullptr), wide(t.defined() && t.dtype() == DType::float64) {}
  __device__ double value() const {
    if (data == nullptr) return 1;
    return wide ? *static_cast<const double*>(data) : static_cast<double>(*static_cast<const float*>(data));
  }
};

}  // namespace dnn::cuda
