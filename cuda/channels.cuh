// Images whose channels lie side by side, as a matrix of rows (pixels) of 16-byte packs of channels: how a grid shares
// them, and sums over the rows.
//
// A thread owns one pack of channels and takes every so many rows of it, several at a time, so that enough loads are on
// their way and the constants of its channels stay in registers. The threads of a block stand in `columns` neighbouring
// packs by `lanes` rows, blocks in `tiles` side by side by `chunks` one below the other; there are no more of them than
// the GPU runs at once. Rows are dealt out in turn: all blocks move through the images together, and a pass that begins
// where the one before it ended (`backwards`) finds the last rows in the cache.
//
// `reduce_channels_last` combines the rows of every channel in one launch: threads in registers, blocks in shared
// memory, and the last block of a tile the parts of all (last_block.cuh). The order is fixed by the sizes and the GPU.
#pragma once

#include <algorithm>
#include <bit>
#include <type_traits>

#include "cuda/kernels.h"
#include "cuda/last_block.cuh"
#include "cuda/layout.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

inline constexpr int channel_threads = 256;
inline constexpr int channel_blocks = 2;  // that a multiprocessor runs at once: up to 128 registers a thread

struct ChannelGrid {
  int64_t rows = 0, packs = 0;  // the matrix
  int columns = 1, lanes = 1;   // of a block
  int tiles = 0, chunks = 0;    // of the grid

  Grid grid() const { return {static_cast<unsigned>(tiles * chunks), channel_threads}; }
};

// At least `rows_each` rows for a thread, where there are enough, and at most so many blocks for a multiprocessor.
inline ChannelGrid channel_grid(const Context& context, int64_t rows, int64_t packs, int64_t rows_each,
                                int64_t blocks = channel_blocks) {
  if (rows == 0 || packs == 0) return {};
  constexpr int64_t widest = 32;
  const auto ceil_div = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  ChannelGrid grid{rows, packs};
  const int64_t tiles = ceil_div(packs, widest);
  grid.tiles = static_cast<int>(tiles);
  grid.columns = static_cast<int>(ceil_div(packs, tiles));
  grid.lanes = channel_threads / grid.columns;
  const int64_t most = std::max<int64_t>(1, blocks * context.multiprocessors() / tiles);
  grid.chunks = static_cast<int>(std::min(most, ceil_div(rows, grid.lanes * rows_each)));
  return grid;
}

namespace packed {

// float32 or 16 bits, channels side by side in whole packs, at addresses that allow them; undefined tensors fit.
inline bool fit(const Context& context, std::initializer_list<Tensor> images) {
  const Tensor& x = *images.begin();
  if (x.dtype() == DType::float64 || x.numel() == 0) return false;
  const Images shape = images_of(x);
  const int64_t width = 16 / static_cast<int64_t>(size_of(x.dtype()));
  if (shape.layout != detail::Layout::channels_last && (shape.layout != detail::Layout::plain || shape.pixels != 1))
    return false;
  if (shape.channels % width != 0) return false;
  if (channel_grid(context, 1, shape.channels / width, 1).tiles > Context::ticket_count) return false;
  return std::all_of(images.begin(), images.end(),
                     [](const Tensor& t) { return !t.defined() || is_aligned(elements<std::byte>(t)); });
}

}  // namespace packed

// The place of a thread in it.
struct ChannelLane {
  int column, lane;
  int tile, chunk;
  int64_t pack, count;    // its pack of a row, and how many rows it takes:
  int64_t row, step;      // this one, then every `step` further on, or as many before the end when it goes backwards
  int64_t first, stride;  // where in the matrix its packs lie

  __device__ explicit ChannelLane(const ChannelGrid& grid, bool backwards = false)
      : column(static_cast<int>(threadIdx.x) % grid.columns),
        lane(static_cast<int>(threadIdx.x) / grid.columns),
        tile(static_cast<int>(blockIdx.x) % grid.tiles),
        chunk(static_cast<int>(blockIdx.x) / grid.tiles),
        pack(int64_t{tile} * grid.columns + column),
        row(int64_t{chunk} * grid.lanes + lane),
        step(int64_t{grid.chunks} * grid.lanes) {
    const bool works = lane < grid.lanes && pack < grid.packs && row < grid.rows;
    count = works ? (grid.rows - row - 1) / step + 1 : 0;
    first = (backwards ? grid.rows - 1 - row : row) * grid.packs + pack;
    stride = (backwards ? -step : step) * grid.packs;
  }

  // Calls body(n, index) for all its rows, n at a time: n (a constant) is `batch`, or 1 for the rest, and the packs lie
  // at index, index + stride, ...
  template <int batch, class Body>
  __device__ void each(const Body& body) const {
    int64_t done = 0, index = first;
    for (; done + batch <= count; done += batch, index += batch * stride)
      body(std::integral_constant<int, batch>{}, index);
    for (; done < count; ++done, index += stride) body(std::integral_constant<int, 1>{}, index);
  }
};

// The packs of n rows of an array.
template <class T, int n>
struct PackRows {
  Pack<T> rows[n];
  PackRows() = default;
  __device__ PackRows(const T* data, int64_t index, int64_t stride) {
    unrolled<n>([&](int i) { rows[i] = reinterpret_cast<const Pack<T>*>(data)[index + i * stride]; });
  }
  __device__ void store(T* data, int64_t index, int64_t stride) const {
    unrolled<n>([&](int i) { reinterpret_cast<Pack<T>*>(data)[index + i * stride] = rows[i]; });
  }
  __device__ float at(int row, int k) const { return static_cast<float>(rows[row].values[k]); }
  __device__ void set(int row, int k, float value) { rows[row].values[k] = static_cast<T>(value); }
};

// The constants of a thread's channels, out of an array of one for each channel.
template <int width>
struct ChannelValues {
  float values[width];
  __device__ ChannelValues(const float* data, int64_t pack, int64_t packs) {
    unrolled<width / 4>([&](int i) {
      const Pack<float> four = load_vec(data, pack * (width / 4) + i, packs * width);
      unrolled<4>([&](int k) { values[4 * i + k] = four.values[k]; });
    });
  }
  __device__ float operator[](int k) const { return values[k]; }
};

// ---- combining rows -------------------------------------------------------------------------------------------------

// States, each word in an array of its own, so that neighbouring threads touch neighbouring memory.
template <class State>
struct SpreadStates {
  static constexpr int words = sizeof(State) / 4;
  struct Words {
    uint32_t word[words];
  };
  uint32_t* data;
  int64_t count;

  __device__ void put(int64_t index, const State& state) const {
    const Words all = std::bit_cast<Words>(state);
    unrolled<words>([&](int i) { data[i * count + index] = all.word[i]; });
  }
  __device__ State get(int64_t index) const {
    Words all;
    unrolled<words>([&](int i) { all.word[i] = data[i * count + index]; });
    return std::bit_cast<State>(all);
  }
};

// Combines the states of the lanes of a block; lane 0 gets the result of its column.
template <class Op>
__device__ typename Op::State combine_lanes(const Op& op, const ChannelGrid& grid, const ChannelLane& at,
                                            typename Op::State state) {
  using State = typename Op::State;
  constexpr int half_block = channel_threads / 2;
  const SpreadStates<State> shared{block_shared<uint32_t, SpreadStates<State>::words * half_block>(), half_block};
  for (int lanes = grid.lanes; lanes > 1;) {
    const int half = (lanes + 1) / 2;
    if (at.lane >= half && at.lane < lanes) shared.put((at.lane - half) * grid.columns + at.column, state);
    __syncthreads();
    if (at.lane + half < lanes) state = op(state, shared.get(at.lane * grid.columns + at.column));
    __syncthreads();  // the states have been read
    lanes = half;
  }
  return state;
}

// An operation Op is a functor passed by value:
//   using State = ...;                                       of a thread's channels, made of 32-bit words
//   State fold(const ChannelGrid&, const ChannelLane&)       the state of a thread's rows, of which there may be none
//   State neutral() const;
//   State operator()(const State& a, const State& b) const;  combines
//   void store(int64_t pack, const State& state) const;      writes the results of a pack of channels
template <class Op>
__global__ void __launch_bounds__(channel_threads, channel_blocks)
    reduce_channels_last_kernel(Op op, ChannelGrid grid, uint32_t* parts, unsigned* tickets) {
  const ChannelLane at(grid);
  typename Op::State state = combine_lanes(op, grid, at, op.fold(grid, at));
  if (grid.chunks > 1) {
    const int64_t slots = int64_t{grid.chunks} * grid.columns;
    const SpreadStates<typename Op::State> all{parts + at.tile * slots * SpreadStates<typename Op::State>::words,
                                               slots};
    if (at.lane == 0) all.put(at.chunk * grid.columns + at.column, state);
    if (!is_last_block(tickets + at.tile, static_cast<unsigned>(grid.chunks))) return;
    state = op.neutral();
    if (at.lane < grid.lanes) {
      for (int chunk = at.lane; chunk < grid.chunks; chunk += grid.lanes)
        state = op(state, all.get(chunk * grid.columns + at.column));
    }
    state = combine_lanes(op, grid, at, state);
  }
  if (at.lane == 0 && at.pack < grid.packs) op.store(at.pack, state);
}

template <class Op>
void reduce_channels_last(Context& context, const ChannelGrid& grid, const Op& op) {
  const int64_t words =
      grid.chunks > 1 ? int64_t{grid.tiles} * grid.chunks * grid.columns * SpreadStates<typename Op::State>::words : 0;
  const Scratch parts(context, words * 4);
  launch(reduce_channels_last_kernel<Op>, grid.grid(), context, op, grid, parts.as<uint32_t>(), context.tickets());
}

}  // namespace dnn::cuda
