// Sorting rows of entries: a bitonic network (Batcher, "Sorting networks and their applications", 1968).
//
// A row has a power of two of entries, padded with ones that are larger than all others. Comparing the key first and
// the position next makes no two entries equal, so that the order does not depend on the network and equal keys stay in
// theirs. Steps between entries less than a tile apart run in shared memory, many in one launch; the others run in
// global memory, one launch each.
#pragma once

#include <cstdint>

#include "cuda/launch.cuh"

namespace dnn::cuda {

struct alignas(16) SortEntry {
  uint64_t key;
  int64_t position;

  // Behind every entry of a row, whatever its key: real positions are smaller.
  __device__ static SortEntry padding(int64_t position) { return {~uint64_t{0}, position}; }
};

// The number of entries of a row of n.
inline int64_t padded_row(int64_t n) {
  int64_t padded = 1;
  while (padded < n) padded *= 2;
  return padded;
}

// Sorts each of the rows of `padded` entries.
void sort_entries(Context& context, SortEntry* entries, int64_t rows, int64_t padded);

}  // namespace dnn::cuda
