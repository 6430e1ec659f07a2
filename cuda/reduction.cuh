// Reductions of x [outer, n, inner] over n, for any operation that can combine two intermediate states.
//
// Where inner is 1, a warp or a block shares a row; otherwise a block takes a tile of columns, its threads side by side
// along inner, so that a warp reads neighbours, and combines its rows in shared memory. When there are too few rows or
// columns to fill the GPU, n is cut into chunks, whose states go to scratch memory, and a second launch combines those.
// The cut depends on the sizes and the GPU alone and nothing is added atomically: the same in every run.
//
// An operation Op is a functor passed to the kernels by value:
//   using State = ...;                                          made of 32-bit words
//   static constexpr int width;                                 elements of a row that `fold` takes at a time
//   State neutral() const;
//   State operator()(const State& a, const State& b) const;     combines
//   State fold(State state, int64_t row, int64_t n, int64_t i)  adds elements [i * width, (i + 1) * width) of a row
//   State element(int64_t offset, int64_t position) const;      of the element of x at `offset`, position along n
//   void store(int64_t index, const State& state) const;        writes element `index` of [outer, inner]
#pragma once

#include <algorithm>

#include "core/kernels/reduce.h"
#include "cuda/index.cuh"
#include "cuda/reduce.cuh"

namespace dnn::cuda {

// Every row is cut into `chunks` of `chunk_folds` folds; with more than one chunk the states go to `partials`.
template <int lanes, class Op>
__global__ void reduce_rows_kernel(Op op, int64_t rows, int64_t n, int64_t chunks, int64_t chunk_folds,
                                   typename Op::State* partials) {
  const int64_t folds = (n + Op::width - 1) / Op::width;
  for (int64_t item = Group<lanes>::first_row(); item < rows * chunks; item += Group<lanes>::row_step()) {
    const int64_t row = item / chunks, begin = item % chunks * chunk_folds;
    const int64_t end = begin + chunk_folds < folds ? begin + chunk_folds : folds;
    typename Op::State state = op.neutral();
    for (int64_t i = begin + Group<lanes>::lane(); i < end; i += lanes) state = op.fold(state, row, n, i);
    state = Group<lanes>::reduce(state, op.neutral(), op);
    if (Group<lanes>::lane() != 0) continue;
    if (partials != nullptr)
      partials[item] = state;
    else
      op.store(item, state);
  }
}

// A block of 256 threads is `columns` (a power of two) wide; every column is cut into `chunks` of `chunk_rows`.
template <class Op>
__global__ void reduce_columns_kernel(Op op, kernel::ReduceShape shape, int columns, int64_t chunks, int64_t chunk_rows,
                                      typename Op::State* partials) {
  struct Tile;
  auto* shared = block_shared<typename Op::State, 256, Tile>();
  const int thread = static_cast<int>(threadIdx.x), step = 256 / columns;
  const int x = thread % columns, y = thread / columns;
  const int64_t tiles = (shape.inner + columns - 1) / columns;
  for (int64_t item = blockIdx.x; item < shape.outer * chunks * tiles; item += gridDim.x) {
    const int64_t outer = item / (chunks * tiles), chunk = item / tiles % chunks;
    const int64_t column = item % tiles * columns + x;
    const int64_t end = (chunk + 1) * chunk_rows < shape.n ? (chunk + 1) * chunk_rows : shape.n;
    typename Op::State state = op.neutral();
    if (column < shape.inner) {
      for (int64_t row = chunk * chunk_rows + y; row < end; row += step)
        state = op(state, op.element((outer * shape.n + row) * shape.inner + column, row));
    }
    shared[thread] = state;
    for (int half = step / 2; half > 0; half /= 2) {
      __syncthreads();
      if (y < half) shared[thread] = op(shared[thread], shared[thread + half * columns]);
    }
    if (y == 0 && column < shape.inner) {
      const int64_t index = outer * shape.inner + column;
      if (partials != nullptr)
        partials[index * chunks + chunk] = shared[thread];
      else
        op.store(index, shared[thread]);
    }
    __syncthreads();  // the tile has been read
  }
}

// Combines the chunks' states of each result; a warp per result.
template <class Op>
__global__ void reduce_partials_kernel(Op op, const typename Op::State* partials, int64_t results, int64_t chunks) {
  for (int64_t index = Group<32>::first_row(); index < results; index += Group<32>::row_step()) {
    typename Op::State state = op.neutral();
    for (int64_t i = Group<32>::lane(); i < chunks; i += 32) state = op(state, partials[index * chunks + i]);
    state = warp_reduce(state, op);
    if (Group<32>::lane() == 0) op.store(index, state);
  }
}

// Runs the reduction; the last launch of it writes the results.
template <class Op>
void reduce(Context& context, const kernel::ReduceShape& shape, const Op& op) {
  using State = typename Op::State;
  const auto ceil_div = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  const int64_t results = shape.outer * shape.inner;
  if (results == 0) return;
  const int64_t wanted_blocks = int64_t{4} * context.multiprocessors();

  int64_t chunks = 1;
  if (shape.inner == 1) {
    const int64_t folds = ceil_div(shape.n, Op::width);
    const int lanes = lanes_for(folds);
    if (lanes == 256) chunks = std::clamp<int64_t>(ceil_div(wanted_blocks, results), 1, ceil_div(folds, 2 * lanes));
    const int64_t chunk_folds = std::max<int64_t>(1, ceil_div(folds, chunks));
    const Scratch scratch(context, chunks > 1 ? results * chunks * static_cast<int64_t>(sizeof(State)) : 0);
    const Grid grid = context.grid(results * chunks * lanes);
    const auto kernel = lanes == 32 ? reduce_rows_kernel<32, Op> : reduce_rows_kernel<256, Op>;
    launch(kernel, grid, context, op, results, shape.n, chunks, chunk_folds, scratch.as<State>());
    if (chunks > 1)
      launch(reduce_partials_kernel<Op>, context.grid(results * 32), context, op, scratch.as<State>(), results, chunks);
    return;
  }
  int columns = 1;
  while (columns < 32 && columns < shape.inner) columns *= 2;
  const int64_t tiles = ceil_div(shape.inner, columns), rows_at_once = 256 / columns;
  chunks = std::clamp<int64_t>(ceil_div(wanted_blocks, shape.outer * tiles), 1,
                               std::max<int64_t>(1, shape.n / (8 * rows_at_once)));
  const int64_t chunk_rows = std::max<int64_t>(1, ceil_div(shape.n, chunks));
  const Scratch scratch(context, chunks > 1 ? results * chunks * static_cast<int64_t>(sizeof(State)) : 0);
  launch(reduce_columns_kernel<Op>, context.grid(shape.outer * chunks * tiles * 256), context, op, shape, columns,
         chunks, chunk_rows, scratch.as<State>());
  if (chunks > 1)
    launch(reduce_partials_kernel<Op>, context.grid(results * 32), context, op, scratch.as<State>(), results, chunks);
}

}  // namespace dnn::cuda
