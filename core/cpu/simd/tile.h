// Products in tiles that stay in registers: a few rows by four vectors of columns, for kernels that do something with
// the sums before they are stored. The compiler's vector types name no instruction set; the widths follow from the
// flags of the variant.
//
// A tile multiplies elements of `a`, each one broadcast, with vectors of a panel: a copy of the columns that it needs
// in which they lie as they are read, [k][vectors][lanes]. A sum runs over k in order whatever the tile's height is, so
// results do not depend on how rows are shared out.
#pragma once

#include "core/cpu/simd/common.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64, tile_rows = 6;  // 24 of 32 registers hold sums
#elif defined(__AVX__)
inline constexpr int vector_bytes = 32, tile_rows = 3;  // 12 of 16
#else
inline constexpr int vector_bytes = 16, tile_rows = 3;
#endif
inline constexpr int tile_vectors = 4;

template <class T>
inline constexpr int lanes_of = vector_bytes / static_cast<int>(sizeof(T));

// A vector in a register, and one anywhere in memory.
template <class T>
struct Vectors {
  typedef T Vector __attribute__((vector_size(vector_bytes)));
  typedef T Unaligned __attribute__((vector_size(vector_bytes), aligned(alignof(T)), may_alias));
};
template <class T>
using Vector = typename Vectors<T>::Vector;

template <class T>
[[gnu::always_inline]] inline Vector<T> load_vector(const T* from) {
  return *reinterpret_cast<const typename Vectors<T>::Unaligned*>(from);
}

template <class T>
[[gnu::always_inline]] inline void store_vector(T* to, const Vector<T>& value) {
  *reinterpret_cast<typename Vectors<T>::Unaligned*>(to) = value;
}

// The sums of a tile: those of a row are `tile_vectors` vectors.
template <class T, int rows>
struct Tile {
  Vector<T> sums[rows][tile_vectors];
};

// Which vectors of a tile take part in a product, one bit each; the panel has no others.
inline constexpr int all_vectors = (1 << tile_vectors) - 1;
constexpr int count_of(int mask) { return mask == 0 ? 0 : (mask & 1) + count_of(mask >> 1); }

// tile += a [rows, k] panel [k, columns]; a's rows are `stride` elements apart.
template <int mask, class T, int rows>
[[gnu::always_inline]] inline void multiply(Tile<T, rows>& tile, const T* a, int64_t stride, int64_t k,
                                            const T* panel) {
  constexpr int lanes = lanes_of<T>, step = count_of(mask) * lanes;
  for (int64_t l = 0; l < k; ++l, panel += step) {
    Vector<T> columns[tile_vectors];
    for (int j = 0, at = 0; j < tile_vectors; ++j)
      if ((mask >> j & 1) != 0) columns[j] = load_vector(panel + lanes * at++);
    for (int i = 0; i < rows; ++i) {
      const Vector<T> factor = a[i * stride + l] - Vector<T>{};
      for (int j = 0; j < tile_vectors; ++j)
        if ((mask >> j & 1) != 0) tile.sums[i][j] += factor * columns[j];
    }
  }
}

// a b + c of single numbers as `multiply` has it: the compiler makes one instruction, which rounds once, out of vectors
// wherever there is one, but not out of every loop over numbers.
template <class T>
[[gnu::always_inline]] inline T multiply_add(T a, T b, T c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  if constexpr (std::is_same_v<T, float>) return __builtin_fmaf(a, b, c);
  if constexpr (std::is_same_v<T, double>) return __builtin_fma(a, b, c);
#endif
  return a * b + c;
}

template <int n>
using Count = std::integral_constant<int, n>;

// Calls body(Count<rows>, first row) for tiles of at most `most` rows that cover [begin, end).
template <int most = tile_rows, class Body>
[[gnu::always_inline]] inline void for_tiles(int64_t begin, int64_t end, const Body& body) {
  for (; begin + most <= end; begin += most) body(Count<most>{}, begin);
  if constexpr (most > 1) for_tiles<most - 1>(begin, end, body);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
