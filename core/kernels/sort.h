// Slots of the operations that order rows or run along them.
#pragma once

#include "core/kernels/reduce.h"
#include "core/slot.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// The first k elements of each row of x [rows, n] in order, and their positions in the row (int64): values and indices
// [rows, k]; equal elements keep their order. NaN counts as larger than every number. k <= n; any type, contiguous.
inline constinit Slot<void(const Tensor& x, bool descending, const Tensor& values, const Tensor& indices)> sort{"sort"};

// out = the sum of x [outer, n, inner] along n up to and including each element, or from it to the end when `reverse`
// (+ out when `accumulate`). 16-bit types are summed in float, float32 in float64; integers and bools have int64
// outputs.
inline constinit Slot<void(const Tensor& x, const ReduceShape& shape, bool reverse, const Tensor& out, bool accumulate)>
    cumsum{"cumsum"};

template <class Visit>
void visit_sort_slots(Visit&& visit) {
  visit(sort), visit(cumsum);
}

}  // namespace dnn::kernel
