// Combining values across the threads of a warp or block.
//
// Every thread of the warp or block has to take part, and every one gets the result. The order of combination is fixed,
// so that results are the same in every run.
#pragma once

#include <bit>
#include <cstdint>

#include "cuda/launch.cuh"

namespace dnn::cuda {

inline constexpr unsigned full_warp = 0xffffffffu;

// The value of the lane whose number differs in `bits`; any type made of 32-bit words.
template <class T>
__device__ inline T shuffle_xor(T value, int bits) {
  static_assert(sizeof(T) % 4 == 0);
  struct Words {
    uint32_t word[sizeof(T) / 4];
  };
  Words words = std::bit_cast<Words>(value);
  for (uint32_t& word : words.word) word = __shfl_xor_sync(full_warp, word, bits);
  return std::bit_cast<T>(words);
}

template <class T, class Combine>
__device__ inline T warp_reduce(T value, const Combine& combine) {
  for (int bits = 16; bits > 0; bits /= 2) value = combine(value, shuffle_xor(value, bits));
  return value;
}

// Each warp combines its own values and leaves the result in shared memory, then each warp combines those.
template <class T, class Combine>
__device__ inline T block_reduce(T value, const T& neutral, const Combine& combine) {
  struct Partials;
  T* partials = block_shared<T, 32, Partials>();
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  value = warp_reduce(value, combine);
  __syncthreads();  // the partials of an earlier call have been read
  if (lane == 0) partials[warp] = value;
  __syncthreads();
  value = lane < warps ? partials[lane] : neutral;
  return warp_reduce(value, combine);
}

struct Sum {
  template <class T>
  __device__ T operator()(const T& a, const T& b) const {
    return a + b;
  }
};

struct Max {
  template <class T>
  __device__ T operator()(const T& a, const T& b) const {
    return a > b ? a : b;
  }
};

template <class T>
__device__ inline T block_sum(T value) {
  return block_reduce(value, T(0), Sum{});
}

template <class T>
__device__ inline T block_max(T value) {
  return block_reduce(value, value, Max{});
}

// A group of 1, 32 or all 256 threads of a block that shares a row of work. Groups take rows in turn.
template <int lanes>
struct Group {
  static_assert(lanes == 1 || lanes == 32 || lanes == 256);
  static constexpr int block_threads = 256;
  static constexpr int per_block = block_threads / lanes;

  __device__ static int lane() { return static_cast<int>(threadIdx.x) % lanes; }
  __device__ static int64_t first_row() { return int64_t{blockIdx.x} * per_block + threadIdx.x / lanes; }
  __device__ static int64_t row_step() { return int64_t{gridDim.x} * per_block; }

  template <class T, class Combine>
  __device__ static T reduce(T value, const T& neutral, const Combine& combine) {
    if constexpr (lanes == 1) return value;
    if constexpr (lanes == 32) return warp_reduce(value, combine);
    if constexpr (lanes == 256) return block_reduce(value, neutral, combine);
  }
};

// Threads that a row of n elements deserves.
inline int lanes_for(int64_t n) { return n <= 512 ? 32 : 256; }

}  // namespace dnn::cuda
