// Sorting the rows of a tensor. Elements become keys whose order as unsigned integers is theirs.
#include <bit>

#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/sort.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

namespace {

constexpr int sort_tile = 1024;  // entries of a block in shared memory

// The step of the network that brings sequences of `size` in order, between entries `distance` apart: every second
// sequence goes down, so that two of them make one that rises and falls.
__device__ void compare_entries(SortEntry& low, SortEntry& high, int64_t place, int64_t size, int64_t padded) {
  const bool rising = (place & (padded - 1) & size) == 0;
  const bool greater = low.key != high.key ? low.key > high.key : low.position > high.position;
  if (greater != rising) return;
  const SortEntry kept = low;
  low = high;
  high = kept;
}

// The place of the lower entry of pair number i.
__device__ int64_t lower_place(int64_t i, int64_t distance) { return 2 * i - (i & (distance - 1)); }

}  // namespace

// In every tile the steps of the sizes `first` ... `last`, from the distance min(size / 2, tile / 2) down.
__global__ void sort_tiles_kernel(SortEntry* entries, int64_t total, int64_t first, int64_t last, int64_t padded) {
  SortEntry* tile = block_shared<SortEntry, sort_tile>();
  for (int64_t begin = int64_t{blockIdx.x} * sort_tile; begin < total; begin += int64_t{gridDim.x} * sort_tile) {
    const int64_t count = total - begin < sort_tile ? total - begin : sort_tile;
    for (int64_t i = threadIdx.x; i < count; i += blockDim.x) tile[i] = entries[begin + i];
    for (int64_t size = first; size <= last; size *= 2) {
      for (int64_t distance = size <= sort_tile ? size / 2 : sort_tile / 2; distance > 0; distance /= 2) {
        __syncthreads();
        for (int64_t i = threadIdx.x; i < count / 2; i += blockDim.x) {
          const int64_t low = lower_place(i, distance);
          compare_entries(tile[low], tile[low + distance], begin + low, size, padded);
        }
      }
    }
    __syncthreads();
    for (int64_t i = threadIdx.x; i < count; i += blockDim.x) entries[begin + i] = tile[i];
    __syncthreads();  // the tile has been read
  }
}

// One step between entries that are further apart than a tile reaches.
__global__ void sort_step_kernel(SortEntry* entries, int64_t total, int64_t size, int64_t distance, int64_t padded) {
  for (const auto i : grid_stride(total / 2)) {
    const int64_t low = lower_place(i, distance);
    compare_entries(entries[low], entries[low + distance], low, size, padded);
  }
}

void sort_entries(Context& context, SortEntry* entries, int64_t rows, int64_t padded) {
  const int64_t total = rows * padded;
  if (padded < 2) return;
  const Grid tiles = context.grid((total + sort_tile - 1) / sort_tile * 256), pairs = context.grid(total / 2);
  const int64_t within = padded < sort_tile ? padded : int64_t{sort_tile};
  launch(sort_tiles_kernel, tiles, context, entries, total, 2, within, padded);
  for (int64_t size = 2 * within; size <= padded; size *= 2) {
    for (int64_t distance = size / 2; distance >= sort_tile; distance /= 2)
      launch(sort_step_kernel, pairs, context, entries, total, size, distance, padded);
    launch(sort_tiles_kernel, tiles, context, entries, total, size, size, padded);
  }
}

namespace {

// Numbers below zero have all bits turned, the others the sign: then they are in order. NaN becomes the largest and
// both zeros become one.
template <class T>
__device__ uint64_t sort_key(const T& element) {
  if constexpr (std::is_same_v<Compute<T>, float>) {
    const float value = static_cast<float>(element);
    if (value != value) return ~uint32_t{0};
    const uint32_t bits = detail::float_bits(value == 0.0f ? 0.0f : value);
    return bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
  } else if constexpr (std::is_same_v<T, double>) {
    if (element != element) return ~uint64_t{0};
    const auto bits = std::bit_cast<uint64_t>(element == 0.0 ? 0.0 : element);
    return bits >> 63 != 0 ? ~bits : bits | uint64_t{1} << 63;
  } else {
    return static_cast<uint64_t>(static_cast<int64_t>(element)) ^ uint64_t { 1 } << 63;
  }
}

}  // namespace

template <class T>
__global__ void sort_load_kernel(const T* x, int64_t rows, int64_t n, int64_t padded, bool descending,
                                 SortEntry* entries) {
  for (const auto e : grid_stride(rows * padded)) {
    const int64_t row = e / padded, j = e % padded;
    SortEntry entry = SortEntry::padding(j);
    if (j < n) {
      const uint64_t key = sort_key(x[row * n + j]);
      entry.key = descending ? ~key : key;
    }
    entries[e] = entry;
  }
}

template <class T>
__global__ void sort_store_kernel(const T* x, const SortEntry* entries, int64_t rows, int64_t n, int64_t padded,
                                  int64_t k, T* values, int64_t* indices) {
  for (const auto e : grid_stride(rows * k)) {
    const int64_t row = e / k, position = entries[row * padded + e % k].position;
    values[e] = x[row * n + position];
    indices[e] = position;
  }
}

void sort(const Tensor& x, bool descending, const Tensor& values, const Tensor& indices) {
  visit_all(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(x);
    const int64_t rows = x.size(0), n = x.size(1), padded = padded_row(n);
    const Scratch scratch(context, rows * padded * static_cast<int64_t>(sizeof(SortEntry)));
    auto* entries = scratch.as<SortEntry>();
    launch(sort_load_kernel<T>, context.grid(rows * padded), context, elements<T>(x), rows, n, padded, descending,
           entries);
    sort_entries(context, entries, rows, padded);
    launch(sort_store_kernel<T>, context.grid(values.numel()), context, elements<T>(x), entries, rows, n, padded,
           values.size(1), elements<T>(values), elements<int64_t>(indices));
  });
}

}  // namespace dnn::cuda
