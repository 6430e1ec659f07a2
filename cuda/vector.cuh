// Loads and stores of 16 bytes, and the type to compute in.
//
// `load_vec` and `store_vec` see an array of n elements as packs of 16 bytes and take the place of every other access
// to it: where the array is not aligned, or the last pack is not full, they fall back to single elements.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "cuda/launch.cuh"
#include "dnn/float16.h"

namespace dnn::cuda {

// 16-bit types compute in float, all others in themselves.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>, float, T>;

template <class T>
struct alignas(16) Pack {
  static constexpr int width = static_cast<int>(16 / sizeof(T));
  T values[width];
};

// Calls body(0) to body(n - 1), each number known to the compiler, so that arrays indexed by them stay in registers.
template <int n, class Body>
__device__ inline void unrolled(const Body& body) {
  [&]<int... k>(std::integer_sequence<int, k...>) { (body(k), ...); }
  (std::make_integer_sequence<int, n>{});
}

// Packs that hold n elements.
template <class T>
__host__ __device__ inline int64_t pack_count(int64_t n) {
  return (n + Pack<T>::width - 1) / Pack<T>::width;
}

template <class T>
__host__ __device__ inline bool is_aligned(const T* data) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0;
}

// Elements [index * width, (index + 1) * width) of `data`, which has n; zeros behind the end.
template <class T>
__device__ inline Pack<T> load_vec(const T* data, int64_t index, int64_t n) {
  constexpr int width = Pack<T>::width;
  const int64_t begin = index * width;
  if (begin + width <= n && is_aligned(data)) return *reinterpret_cast<const Pack<T>*>(data + begin);
  Pack<T> pack;
  unrolled<width>([&](int k) { pack.values[k] = begin + k < n ? data[begin + k] : T(0); });
  return pack;
}

// The counterpart; nothing is written behind the end.
template <class T>
__device__ inline void store_vec(T* data, int64_t index, int64_t n, const Pack<T>& pack) {
  constexpr int width = Pack<T>::width;
  const int64_t begin = index * width;
  if (begin + width <= n && is_aligned(data)) {
    *reinterpret_cast<Pack<T>*>(data + begin) = pack;
    return;
  }
  unrolled<width>([&](int k) {
    if (begin + k < n) data[begin + k] = pack.values[k];
  });
}

}  // namespace dnn::cuda
