// Slots that read and write at positions which a tensor of indices names.
#pragma once

#include <algorithm>

#include "core/slot.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// The operation brings every case to rows along the middle: x [outer, n, inner], picked [outer, m, inner]. The index
// (int64) is [outer, m, inner], or [m] and the same for all when `shared`. An index outside of [0, n) throws IndexError
// with the operation's name (on a GPU at the next wait).
struct IndexShape {
  const char* name = "";
  int64_t outer = 1;
  int64_t n = 1;
  int64_t m = 1;
  int64_t inner = 1;
  bool shared = false;
};

// No more of a tensor is read or written than there are positions: the rest of it is taken off again.
struct PickWork {
  detail::Work operator()(const Tensor& x, const Tensor&, const IndexShape&, const Tensor& out) const {
    return {.bytes = std::min<int64_t>(0, detail::traffic_of(out) - detail::traffic_of(x))};
  }
};

// out [outer, m, inner] = x at the indices. Any type, contiguous, plain.
inline constinit Slot<void(const Tensor& x, const Tensor& index, const IndexShape& shape, const Tensor& out)> gather{
    "gather"};

enum class Scatter { add, write };

struct PlaceWork {
  detail::Work operator()(const Tensor& source, const Tensor&, const IndexShape&, Scatter, const Tensor& out) const {
    return {.bytes = std::min<int64_t>(0, detail::traffic_of(source) - detail::traffic_of(out))};
  }
};

// out [outer, n, inner] at the indices = source [outer, m, inner], or + it; the rest of out stays. Of several sources
// for one element the last is written; additions are made in their order. Any type but bool for additions, contiguous,
// plain.
inline constinit Slot<void(const Tensor& source, const Tensor& index, const IndexShape& shape, Scatter how,
                           const Tensor& out)>
    scatter{"scatter"};

// out [count, rank] (int64) = the coordinates of the elements of the mask (bool, contiguous) that are set, in row-major
// order; counts (int64) = how many are set up to and including each.
inline constinit Slot<void(const Tensor& mask, const Tensor& counts, const Tensor& out)> nonzero{"nonzero"};

struct SliceWork {
  detail::Work operator()(const Tensor& x, const detail::HostNumber&, const Tensor& out) const {
    return {.bytes = detail::traffic_of(out) - detail::traffic_of(x)};
  }
};

// out [m, ...] = rows start() to start() + m of x [n, ...]. Any type, contiguous, plain, not empty. A start outside of
// [0, n - m] throws IndexError (on a GPU at the next wait).
inline constinit Slot<void(const Tensor& x, const detail::HostNumber& start, const Tensor& out)> dynamic_slice{
    "dynamic_slice"};

template <class Visit>
void visit_index_slots(Visit&& visit) {
  visit(gather), visit(scatter), visit(nonzero), visit(dynamic_slice);
}

}  // namespace dnn::kernel
