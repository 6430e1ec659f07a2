// Activations of any layout as one nested array, and sums over everything but the channels.
//
// [n, c, h, w] lies in memory as [images][blocks][pixels][width], where block b holds the channels b * width and on:
// plain has width 1, channels_last one block of all channels, blocked layouts 8 or 16. A "row" is one pixel of a block.
#pragma once

#include "core/cpu/simd/common.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

// A vector register, for the loops that the compiler does not find the registers for.
#if defined(__AVX512F__)
inline constexpr int64_t vector_lanes = 16;
#elif defined(__AVX__)
inline constexpr int64_t vector_lanes = 8;
#else
inline constexpr int64_t vector_lanes = 4;
#endif
using Vector = float __attribute__((vector_size(vector_lanes * sizeof(float))));
using LooseVector = float __attribute__((vector_size(vector_lanes * sizeof(float)), aligned(4), may_alias));
using VectorMask = int32_t __attribute__((vector_size(vector_lanes * sizeof(float))));

[[gnu::always_inline]] inline Vector load_vector(const float* p) { return *reinterpret_cast<const LooseVector*>(p); }
[[gnu::always_inline]] inline void store_vector(float* p, const Vector& value) {
  *reinterpret_cast<LooseVector*>(p) = value;
}

struct Channels {
  int64_t images, blocks, pixels, width;

  int64_t count() const { return blocks * width; }
  // Rows of one block, and of all.
  int64_t rows() const { return images * pixels; }
  int64_t all_rows() const { return rows() * blocks; }
  int64_t numel() const { return all_rows() * width; }
  // Position of the first element of a row.
  int64_t offset(int64_t block, int64_t row) const {
    return ((row / pixels * blocks + block) * pixels + row % pixels) * width;
  }
};

inline Channels channels_of(const Shape& nchw, detail::Layout layout) {
  const int64_t n = nchw[0], c = nchw[1], pixels = nchw[2] * nchw[3];
  // With one block the images follow each other without a seam: they count as one.
  if (layout == detail::Layout::channels_last || pixels == 1 || c == 1) return {1, 1, n * pixels, c};
  const int64_t width = layout == detail::Layout::blocked16 ? 16 : layout == detail::Layout::blocked8 ? 8 : 1;
  return {n, c / width, pixels, width};
}

inline Channels channels_of(const Tensor& x) { return channels_of(x.shape(), detail::layout_of(x)); }

// Loops over channels run in lanes: at most 16 neighbours. Calls body(integral constant 16, 8, 1, or 0 for any number).
inline constexpr int64_t most_lanes = 16;

template <int count>
struct Lanes {
  // Number of lanes where the loop has to know it, a constant where it is one.
  static constexpr int64_t of(int64_t lanes) { return count == 0 ? lanes : count; }
};

template <class Body>
[[gnu::always_inline]] inline void with_lanes(int64_t lanes, const Body& body) {
  if (lanes == 16) return body(Lanes<16>{});
  if (lanes == 8) return body(Lanes<8>{});
  if (lanes == 1) return body(Lanes<1>{});
  body(Lanes<0>{});
}

// The partition of a sum over rows: fixed by the sizes alone, so that results do not depend on the number of threads.
// A task is a part of the rows of one tile of up to 16 channels; within it, float sums run over one chunk of rows only.
struct Reduction {
  explicit Reduction(const Channels& view)
      : tiles_per_block(ceil_div(view.width, most_lanes)),
        tiles(view.blocks * tiles_per_block),
        part_rows(view.width == 1 ? 32768 : 2048),
        parts(ceil_div(view.rows(), part_rows)) {}
  int64_t tiles_per_block, tiles, part_rows, parts;
};
inline constexpr int64_t chunk_rows = 256;

// Neighbouring elements at offset, offset + stride, ...: `rows` times `lanes` of them.
struct Chunk {
  int64_t offset, rows, stride, lanes;
};

// Calls visit(chunk) for all chunks of a task. For plain layouts the lanes are neighbouring pixels of the one channel.
template <class Visit>
[[gnu::always_inline]] inline void visit_chunks(const Channels& view, const Reduction& split, int64_t tile,
                                                int64_t part, const Visit& visit) {
  const int64_t block = tile / split.tiles_per_block, lane = tile % split.tiles_per_block * most_lanes;
  const int64_t end = smaller((part + 1) * split.part_rows, view.rows());
  for (int64_t row = part * split.part_rows; row < end;) {
    // Up to the end of the image: rows are neighbours only within it.
    const int64_t run = smaller(end - row, view.pixels - row % view.pixels);
    const int64_t offset = view.offset(block, row) + lane;
    if (view.width == 1) {
      const int64_t even = run / most_lanes;
      for (int64_t i = 0; i < even; i += chunk_rows) {
        visit(Chunk{offset + i * most_lanes, smaller(chunk_rows, even - i), most_lanes, most_lanes});
      }
      if (even * most_lanes < run) visit(Chunk{offset + even * most_lanes, 1, most_lanes, run - even * most_lanes});
    } else {
      const int64_t lanes = smaller(most_lanes, view.width - lane);
      for (int64_t i = 0; i < run; i += chunk_rows) {
        visit(Chunk{offset + i * view.width, smaller(chunk_rows, run - i), view.width, lanes});
      }
    }
    row += run;
  }
}

// sums[c * quantities + q] = sum over the rows of the q-th value of every element of channel c. `add(lanes type, chunk,
// channel, sums)` adds the values of a chunk to the arrays sums[q][lane]; the channel is that of the first lane.
template <class C, int quantities, class Add>
void sum_channels(const Channels& view, double* sums, const Add& add) {
  const Reduction split(view);
  constexpr int64_t size = quantities * most_lanes;
  const Scratch<double> memory(split.tiles * split.parts * size);
  double* const partial = memory.data();
  parallel(split.tiles * split.parts, view.numel(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      double* const to = partial + task * size;
      const int64_t tile = task / split.parts;
      const int64_t channel = tile / split.tiles_per_block * view.width + tile % split.tiles_per_block * most_lanes;
      visit_chunks(view, split, tile, task % split.parts, [&](const Chunk& chunk) {
        with_lanes(chunk.lanes, [&](auto fixed) {
          C chunk_sums[quantities][most_lanes] = {};
          add(fixed, chunk, channel, chunk_sums);
          for (int q = 0; q < quantities; ++q) {
            for (int64_t j = 0; j < chunk.lanes; ++j) to[q * most_lanes + j] += static_cast<double>(chunk_sums[q][j]);
          }
        });
      });
    }
  });
  for (int64_t tile = 0; tile < split.tiles; ++tile) {
    const int64_t block = tile / split.tiles_per_block, lane = tile % split.tiles_per_block * most_lanes;
    const int64_t lanes = view.width == 1 ? most_lanes : smaller(most_lanes, view.width - lane);
    for (int64_t j = 0; j < lanes; ++j) {
      const int64_t channel = block * view.width + (view.width == 1 ? 0 : lane + j);
      for (int q = 0; q < quantities; ++q) {
        double& sum = sums[channel * quantities + q];
        for (int64_t part = 0; part < split.parts; ++part) {
          sum += partial[(tile * split.parts + part) * size + q * most_lanes + j];
        }
      }
    }
  }
}

// Calls body(offset, rows, first channel) for runs of neighbouring rows of one block, in parallel, all rows once.
template <class Body>
[[gnu::always_inline]] inline void for_row_runs(const Channels& view, const Body& body) {
  constexpr int64_t most_elements = 8192;  // a run of three tensors stays in the first-level cache's neighbour
  const int64_t most_rows = ceil_div(most_elements, view.width);
  parallel(view.all_rows(), view.numel(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end;) {
      const int64_t run = smaller(smaller(end - row, view.pixels - row % view.pixels), most_rows);
      body(row * view.width, run, row / view.pixels % view.blocks * view.width);
      row += run;
    }
  });
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
