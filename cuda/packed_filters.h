// Filters in the layout that cuDNN works in, kept until the plain ones change or die: a training step arranges them
// once for both directions, evaluation once for all batches.
//
// An entry belongs to a storage (watched through a weak pointer: a new storage at an old address is no match), an
// offset, a shape and a layout. It is valid while the storage's version and its count of raw pointers handed out are
// what they were.
//
// A step that is recorded as a graph (graph.h) has entries of its own until it ends, in its own memory: its filters may
// change between repetitions, so each arranges them again, once for both directions and for each of its own updates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/storage.h"

namespace dnn::cuda {

// The filters [k, c / groups, r, s] in that layout, to be read by work that is given to the GPU before the filters
// change.
Tensor packed_filter(const Tensor& weight, detail::Layout layout);

// Entries, for tests; the one unused for longest goes when there are more than so many.
size_t packed_filters();
inline constexpr size_t packed_filter_limit = 512;
void forget_packed_filters();
// Those of a recording that has ended.
void forget_packed_filters(uint64_t recording) noexcept;

}  // namespace dnn::cuda
