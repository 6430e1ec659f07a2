// Slots that move and make elements: fill, strided and converting copy, layout change, random numbers.
#pragma once

#include "core/slot.h"
#include "core/storage.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// Every element of `out` (any strides) becomes `value`.
inline constinit Slot<void(const Tensor& out, Scalar value)> fill{"fill"};

// out[i] = convert(in[i]): same shape, any strides (also 0 in `in`), any types, one device. Both plain.
inline constinit Slot<void(const Tensor& in, const Tensor& out)> copy{"copy"};

struct RelayoutWork {
  detail::Work operator()(const void*, detail::Layout, void*, detail::Layout, const Shape& nchw, int64_t size) const {
    return {.bytes = 2 * nchw.numel() * size};
  }
};

// Rewrites [n, c, h, w] from one layout to another; `from` and `to` do not overlap. Elements are of 4 bytes (float32),
// on a GPU also of 2.
inline constinit Slot<void(const void* from, detail::Layout from_layout, void* to, detail::Layout to_layout,
                           const Shape& nchw, int64_t element_bytes)>
    relayout{"relayout"};

// Contiguous floating `out`: element i is math::uniform of word i % 4 of philox(seed, stream, i / 4), in [0, 1).
inline constinit Slot<void(const Tensor& out, const detail::Draw& draw)> random_uniform{"random_uniform"};

// Contiguous floating `out`: words 0 and 1 of philox(seed, stream, b) give elements 2b and 2b + 1 by math::box_muller.
inline constinit Slot<void(const Tensor& out, const detail::Draw& draw)> random_normal{"random_normal"};

// Contiguous `out` of any type but bool: element i is low + math::below(w, count), w being words 0 and 1 (i even) or 2
// and 3 (odd) of philox(seed, stream, i / 2).
inline constinit Slot<void(const Tensor& out, int64_t low, uint64_t count, const detail::Draw& draw)> random_integers{
    "random_integers"};

template <class Visit>
void visit_copy_slots(Visit&& visit) {
  visit(fill), visit(copy), visit(relayout), visit(random_uniform), visit(random_normal), visit(random_integers);
}

}  // namespace dnn::kernel
