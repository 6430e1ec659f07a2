// Walking tensors of any strides in row-major order, a tile at a time.
//
// The kernels' loops only know contiguous tiles. A Reader hands out the next elements of its tensor: a pointer right
// into it where they lie side by side, else a copy gathered into the caller's buffer, which stays in the first-level
// cache. So one loop serves contiguous, broadcast, sliced and transposed operands alike. Neighbouring dimensions are
// merged first: a contiguous tensor is one dimension of stride 1, a broadcast scalar one of stride 0, [n, c, h, w] +
// [c, 1, 1] three.
#pragma once

#include "core/cpu/simd/common.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

// Elements per tile.
inline constexpr int64_t tile = 1024;

// Sizes and strides, innermost first, without dimensions of size 1, neighbours merged where one stride serves both.
struct Walk {
  int rank = 0;
  int64_t sizes[Shape::max_rank];
  int64_t strides[Shape::max_rank];
};

[[gnu::noinline]] inline Walk walk_of(const Tensor& t) {
  const Shape& shape = t.shape();
  const Strides& strides = t.strides();
  Walk walk;
  for (int64_t dim = shape.rank() - 1; dim >= 0; --dim) {
    const int64_t size = shape[dim], stride = strides[dim];
    if (size == 1) continue;
    const int last = walk.rank - 1;
    if (last >= 0 && stride == walk.strides[last] * walk.sizes[last]) {
      walk.sizes[last] *= size;
    } else {
      walk.sizes[walk.rank] = size;
      walk.strides[walk.rank++] = stride;
    }
  }
  if (walk.rank == 0) {
    walk.rank = 1;
    walk.sizes[0] = 1;
    walk.strides[0] = 1;
  }
  return walk;
}

// A position in a walk, moved forward by runs within the innermost dimension.
class Cursor {
 public:
  [[gnu::noinline]] Cursor(const Walk& walk, int64_t start) : walk_(walk) {
    for (int dim = 0; dim < walk.rank; ++dim) {
      index_[dim] = start % walk.sizes[dim];
      start /= walk.sizes[dim];
      if (dim > 0) outer_offset_ += index_[dim] * walk.strides[dim];
    }
  }

  int64_t offset() const { return outer_offset_ + index_[0] * walk_.strides[0]; }
  int64_t stride() const { return walk_.strides[0]; }
  // Elements from here to the end of the innermost dimension.
  int64_t run() const { return walk_.sizes[0] - index_[0]; }
  bool is_one_number() const { return walk_.rank == 1 && walk_.strides[0] == 0; }

  // Goes on by count <= run() elements.
  void advance(int64_t count) {
    index_[0] += count;
    if (index_[0] < walk_.sizes[0]) return;
    index_[0] = 0;
    for (int dim = 1; dim < walk_.rank; ++dim) {
      outer_offset_ += walk_.strides[dim];
      if (++index_[dim] < walk_.sizes[dim]) return;
      outer_offset_ -= walk_.strides[dim] * walk_.sizes[dim];
      index_[dim] = 0;
    }
  }

 private:
  Walk walk_;
  int64_t index_[Shape::max_rank];
  int64_t outer_offset_ = 0;
};

template <class T>
class Reader {
 public:
  Reader(const T* base, const Walk& walk, int64_t start) : base_(base), cursor_(walk, start) {}

  // The next `count` <= tile elements; `buffer` is this reader's own between calls.
  [[gnu::noinline]] const T* take(int64_t count, T* buffer) {
    if (cursor_.is_one_number()) {
      for (; filled_ < count; ++filled_) assign(buffer[filled_], *base_);
      return buffer;
    }
    if (cursor_.stride() == 1 && count <= cursor_.run()) {
      const T* here = base_ + cursor_.offset();
      cursor_.advance(count);
      return here;
    }
    for (int64_t done = 0; done < count;) {
      const int64_t run = smaller(count - done, cursor_.run());
      gather(base_ + cursor_.offset(), cursor_.stride(), run, buffer + done);
      cursor_.advance(run);
      done += run;
    }
    return buffer;
  }

 private:
  static void gather(const T* from, int64_t stride, int64_t count, T* __restrict to) {
    if (stride == 1) {
      for (int64_t i = 0; i < count; ++i) assign(to[i], from[i]);
    } else if (stride == 0) {
      const T value = *from;
      for (int64_t i = 0; i < count; ++i) assign(to[i], value);
    } else {
      for (int64_t i = 0; i < count; ++i) assign(to[i], from[i * stride]);
    }
  }

  const T* base_;
  Cursor cursor_;
  int64_t filled_ = 0;
};

template <class T>
class Writer {
 public:
  Writer(T* base, const Walk& walk, int64_t start) : base_(base), cursor_(walk, start) {}

  // Where to put the next `count` elements: in place when they lie side by side, else into `buffer`. `put` follows.
  T* place(int64_t count, T* buffer) const {
    return cursor_.stride() == 1 && count <= cursor_.run() ? base_ + cursor_.offset() : buffer;
  }

  [[gnu::noinline]] void put(int64_t count, const T* buffer) {
    for (int64_t done = 0; done < count;) {
      const int64_t run = smaller(count - done, cursor_.run());
      T* to = base_ + cursor_.offset();
      const int64_t stride = cursor_.stride();
      if (to != buffer + done) {
        for (int64_t i = 0; i < run; ++i) assign(to[i * stride], buffer[done + i]);
      }
      cursor_.advance(run);
      done += run;
    }
  }

 private:
  T* base_;
  Cursor cursor_;
};

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
