// The float32 linear layer for small batches: dot products of rows of the input with rows of the weight.
//
// Both lie along memory, so nothing is packed. A tile holds the sums of up to four rows and of three or six features in
// registers while it walks along the inputs, a vector at a time; bias, addition and ReLU follow before it is written.
// Every output is summed in the same order whatever its tile.
#pragma once

#include <utility>

#include "core/cpu/linear.h"
#include "core/cpu/simd/channels.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

// The first lanes from memory, the others zero.
[[gnu::always_inline]] inline Vector load_part(const float* p, int64_t lanes) {
#if defined(__AVX512F__)
  return __builtin_ia32_loadups512_mask(p, Vector{}, static_cast<uint16_t>((1u << lanes) - 1));
#elif defined(__AVX__)
  VectorMask mask;
  for (int32_t lane = 0; lane < vector_lanes; ++lane) mask[lane] = lane < lanes ? -1 : 0;
  return __builtin_ia32_maskloadps256(reinterpret_cast<const Vector*>(p), mask);
#else
  Vector result = {};
  for (int64_t lane = 0; lane < lanes; ++lane) result[lane] = p[lane];
  return result;
#endif
}

// The same value, which the compiler would otherwise read from memory again for each of its uses.
[[gnu::always_inline]] inline Vector in_register(Vector value) {
#if defined(__x86_64__)
  asm("" : "+v"(value));
#endif
  return value;
}

using Four = float __attribute__((vector_size(4 * sizeof(float))));

// The sum of a vector's quarters, halves or itself, whatever has four lanes.
[[gnu::always_inline]] inline Four folded(const float* vector) {
  Four parts[vector_lanes / 4];
  __builtin_memcpy(parts, vector, sizeof parts);
  if constexpr (vector_lanes == 16) return (parts[0] + parts[1]) + (parts[2] + parts[3]);
  if constexpr (vector_lanes == 8) return parts[0] + parts[1];
  return parts[0];
}

// The sums of the lanes of four vectors that lie `pitch` floats apart.
[[gnu::always_inline]] inline Four sums_of(const float* vectors, int64_t pitch) {
  const Four a = folded(vectors), b = folded(vectors + pitch);
  const Four c = folded(vectors + 2 * pitch), d = folded(vectors + 3 * pitch);
  const Four ab = __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7);
  const Four cd = __builtin_shufflevector(c, d, 0, 1, 4, 5) + __builtin_shufflevector(c, d, 2, 3, 6, 7);
  return __builtin_shufflevector(ab, cd, 0, 2, 4, 6) + __builtin_shufflevector(ab, cd, 1, 3, 5, 7);
}

// What the tiles of a product share. Rows follow each other without a gap.
struct LinearTask {
  const float *x, *weight, *bias, *add;  // the last two may be null
  float* out;
  int64_t inputs, features;
  float floor;  // of the results
};

// A block of outputs walks along the inputs in chunks, so that a chunk of all its operands stays in the first-level
// cache.
#if defined(__AVX512F__)
inline constexpr int64_t linear_features = 6, most_inputs = 400;  // 24 of 32 registers hold sums
#else
inline constexpr int64_t linear_features = 3, most_inputs = 256;  // 12 of 16
#endif
inline constexpr int64_t linear_rows = 4, tile_sums = linear_rows * linear_features;
inline constexpr int64_t block_rows = 16, block_features = 24;

// sums[row][feature] of a tile (+ themselves unless `first`) over the inputs from `begin` to `end`; what is left of the
// last vector counts as zero.
template <int rows, int columns>
[[gnu::noinline]] void linear_tile(const float* x, const float* weight, int64_t inputs, int64_t begin, int64_t end,
                                   bool first, float* sums) {
  Vector products[rows][columns] = {};
  if (!first) {
#pragma GCC unroll 24
    for (int i = 0; i < rows * columns; ++i) products[i / columns][i % columns] = load_vector(sums + i * vector_lanes);
  }
  const auto add = [&](int64_t i, const auto& load) {
    Vector w[columns];
#pragma GCC unroll 6
    for (int f = 0; f < columns; ++f) w[f] = load(weight + f * inputs + i);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      const Vector value = in_register(load(x + r * inputs + i));
#pragma GCC unroll 6
      for (int f = 0; f < columns; ++f) products[r][f] += value * w[f];
    }
  };
  int64_t i = begin;
  for (; i + vector_lanes <= end; i += vector_lanes) add(i, [](const float* p) { return load_vector(p); });
  if (i < end) add(i, [&](const float* p) { return load_part(p, end - i); });
#pragma GCC unroll 24
  for (int i = 0; i < rows * columns; ++i) store_vector(sums + i * vector_lanes, products[i / columns][i % columns]);
}

// The outputs of a tile from its sums.
[[gnu::noinline]] inline void finish_tile(const LinearTask& task, int64_t row, int64_t rows, int64_t feature,
                                          int64_t columns, const float* sums) {
  const int64_t pitch = columns * vector_lanes;
  for (int64_t f = feature; f < feature + columns; ++f, sums += vector_lanes) {
    // Rows that the tile has not hold earlier sums, which nobody looks at.
    Four values = sums_of(sums, pitch);
    if (task.bias != nullptr) values += task.bias[f];
    float* const out = task.out + row * task.features + f;
    const float* const add = task.add == nullptr ? nullptr : task.add + row * task.features + f;
    for (int64_t r = 0; r < rows && add != nullptr; ++r) values[r] += add[r * task.features];
    const Four floor = Four{} + task.floor;
    values = values < floor ? floor : values;  // NaN stays NaN
    if (rows == linear_rows) {
#pragma GCC unroll 4
      for (int64_t r = 0; r < linear_rows; ++r) out[r * task.features] = values[r];
    } else {
      for (int64_t r = 0; r < rows; ++r) out[r * task.features] = values[r];
    }
  }
}

// The function for every number of rows and features.
struct LinearTiles {
  void (*of[linear_rows][linear_features])(const float*, const float*, int64_t, int64_t, int64_t, bool, float*);
};

template <int... i>
constexpr LinearTiles linear_tiles(std::integer_sequence<int, i...>) {
  LinearTiles tiles{};
  ((tiles.of[i / linear_features][i % linear_features] = linear_tile<i / linear_features + 1, i % linear_features + 1>),
   ...);
  return tiles;
}

[[gnu::noinline]] inline void linear_block(const LinearTask& task, int64_t row, int64_t row_end, int64_t feature,
                                           int64_t feature_end) {
  static constexpr LinearTiles tiles = linear_tiles(std::make_integer_sequence<int, tile_sums>{});
  alignas(64) float sums[block_rows * block_features * vector_lanes];
  if ((row_end - row) % linear_rows != 0)  // finish_tile reads whole tiles
    for (float& sum : sums) sum = 0;
  const int64_t chunks = ceil_div(task.inputs, most_inputs);
  const int64_t chunk = chunks == 0 ? 0 : ceil_div(ceil_div(task.inputs, chunks), vector_lanes) * vector_lanes;
  int64_t begin = 0;
  do {
    const int64_t end = smaller(begin + chunk, task.inputs);
    float* tile = sums;
    for (int64_t f = feature; f < feature_end; f += linear_features) {
      const int64_t columns = smaller(linear_features, feature_end - f);
      for (int64_t r = row; r < row_end; r += linear_rows, tile += tile_sums * vector_lanes) {
        const int64_t rows = smaller(linear_rows, row_end - r);
        tiles.of[rows - 1][columns - 1](task.x + r * task.inputs, task.weight + f * task.inputs, task.inputs, begin,
                                        end, begin == 0, tile);
        if (end == task.inputs) finish_tile(task, r, rows, f, columns, tile);
      }
    }
    begin = end;
  } while (begin < task.inputs);
}

inline void small_linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                         Activation activation, const Tensor& out) {
  const int64_t rows = out.shape()[0];
  const LinearTask task{pointer<float>(x),
                        pointer<float>(weight),
                        bias.defined() ? pointer<float>(bias) : nullptr,
                        add.defined() ? pointer<float>(add) : nullptr,
                        pointer<float>(out),
                        x.shape()[1],
                        out.shape()[1],
                        activation == Activation::relu ? 0.0f : -__builtin_inff()};
  // The threads share the weight, mostly the larger of the operands, by its rows.
  const int64_t work = rows * task.features * task.inputs / vector_lanes;
  parallel(task.features, work, linear_features, [&](int64_t begin, int64_t end) {
    for (int64_t row = 0; row < rows; row += block_rows)
      for (int64_t feature = begin; feature < end; feature += block_features)
        linear_block(task, row, smaller(row + block_rows, rows), feature, smaller(feature + block_features, end));
  });
}

inline void install_linear() { linear_small::forward = small_linear; }

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
