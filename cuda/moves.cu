// Many copies in one launch.
//
// The moves travel as an argument of the kernel, so nothing is uploaded. They are cut into chunks of 4096 elements, and
// blocks take chunks in turn. A thread reads as many packs of one type, and writes as many of the other, as hold the
// same number of elements.
#include <algorithm>

#include "cuda/convert.cuh"
#include "cuda/dispatch.h"
#include "cuda/moves.h"

namespace dnn::cuda {

inline constexpr int64_t move_chunk = 4096;
inline constexpr int moves_per_launch = 40;  // both directions of an LSTM; below the 4 KiB that arguments may have

struct MoveTable {
  Move moves[moves_per_launch];
  int64_t first_chunk[moves_per_launch + 1] = {};
  int count = 0;
};

template <class From, class To>
__device__ void move_chunk_of(const Move& move, int64_t begin) {
  constexpr int width = Pack<From>::width > Pack<To>::width ? Pack<From>::width : Pack<To>::width;
  constexpr int loads = width / Pack<From>::width, stores = width / Pack<To>::width;
  const From* from = move.from == nullptr ? nullptr : static_cast<const From*>(move.from) + begin;
  To* to = static_cast<To*>(move.to) + begin;
  const int64_t n = move.n - begin < move_chunk ? move.n - begin : move_chunk;
  for (int64_t i = threadIdx.x; i < (n + width - 1) / width; i += blockDim.x) {
    Pack<From> in[loads] = {};
    for (int p = 0; p < loads && from != nullptr; ++p) in[p] = load_vec(from, i * loads + p, n);
    for (int p = 0; p < stores; ++p) {
      Pack<To> out = {};
      if (move.add) out = load_vec<To>(to, i * stores + p, n);
      for (int k = 0; k < Pack<To>::width; ++k) {
        const int element = p * Pack<To>::width + k;
        const From& value = in[element / Pack<From>::width].values[element % Pack<From>::width];
        if (move.add)
          out.values[k] = static_cast<To>(static_cast<Compute<To>>(out.values[k]) + static_cast<Compute<From>>(value));
        else
          out.values[k] = convert<To>(value);
      }
      store_vec(to, i * stores + p, n, out);
    }
  }
}

template <class From, class To>
__global__ void move_kernel(MoveTable table) {
  int i = 0;
  for (int64_t chunk = blockIdx.x; chunk < table.first_chunk[table.count]; chunk += gridDim.x) {
    while (table.first_chunk[i + 1] <= chunk) ++i;
    move_chunk_of<From, To>(table.moves[i], (chunk - table.first_chunk[i]) * move_chunk);
  }
}

namespace {

template <class From, class To>
void move_all(Context& context, const std::vector<Move>& moves) {
  MoveTable table;
  const auto flush = [&] {
    const int64_t chunks = table.first_chunk[table.count];
    if (chunks > 0) launch(move_kernel<From, To>, context.grid(chunks * 256), context, table);
    table = {};
  };
  for (const Move& move : moves) {
    const bool again =
        std::any_of(table.moves, table.moves + table.count, [&](const Move& before) { return before.to == move.to; });
    if (again || table.count == moves_per_launch) flush();
    table.moves[table.count] = move;
    table.first_chunk[table.count + 1] = table.first_chunk[table.count] + (move.n + move_chunk - 1) / move_chunk;
    ++table.count;
  }
  flush();
}

}  // namespace

void move(Context& context, DType from, DType to, const std::vector<Move>& moves) {
  if (from == to) return visit_floating(from, [&]<class T>(T) { move_all<T, T>(context, moves); });
  if (from == DType::float32)
    return visit_types<bfloat16>(to, [&]<class To>(To) { move_all<float, To>(context, moves); });
  visit_types<bfloat16>(from, [&]<class From>(From) { move_all<From, float>(context, moves); });
}

}  // namespace dnn::cuda
