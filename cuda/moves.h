// Many copies in one launch: contiguous pieces of device memory, converted, added, or cleared.
#pragma once

#include <cstdint>
#include <vector>

#include "dnn/dtype.h"

namespace dnn::cuda {

class Context;

// to [n] = from [n], or zeros where `from` is null; added to what is there when `add`.
struct Move {
  const void* from = nullptr;
  void* to = nullptr;
  int64_t n = 0;
  bool add = false;
};

// Makes the moves between elements of two types, the same floating type or float32 and bfloat16. Moves to one address
// happen in the order given; apart from that no move may touch what another one writes.
void move(Context& context, DType from, DType to, const std::vector<Move>& moves);

}  // namespace dnn::cuda
