// Which elements a thread works on: `for (auto i : grid_stride(n))`, and positions in strided arrays.
#pragma once

#include <array>
#include <cstdint>

#include "cuda/launch.cuh"
#include "dnn/shape.h"

namespace dnn::cuda {

// The numbers below n of this thread: its own number in the grid, then every grid size further on.
class GridStride {
 public:
  struct Iterator {
    int64_t i, step;
    __device__ int64_t operator*() const { return i; }
    __device__ void operator++() { i += step; }
    __device__ bool operator!=(int64_t end) const { return i < end; }
  };
  __device__ explicit GridStride(int64_t n) : n_(n) {}
  __device__ Iterator begin() const {
    return {int64_t{blockIdx.x} * blockDim.x + threadIdx.x, int64_t{gridDim.x} * blockDim.x};
  }
  __device__ int64_t end() const { return n_; }

 private:
  int64_t n_;
};

__device__ inline GridStride grid_stride(int64_t n) { return GridStride(n); }

// How `count` arrays of one shape but different strides are walked in row-major order.
template <int count>
struct Walk {
  int rank = 0;
  bool narrow = true;  // all numbers fit 32 bits, where division is several times faster
  int64_t sizes[Shape::max_rank] = {};
  int64_t strides[count][Shape::max_rank] = {};

  // The offsets of element number i in each array.
  __device__ std::array<int64_t, count> offsets(int64_t i) const {
    std::array<int64_t, count> result{};
    for (int d = rank - 1; d >= 0; --d) {
      int64_t position;
      if (narrow) {
        const auto low = static_cast<uint32_t>(i), size = static_cast<uint32_t>(sizes[d]);
        position = low % size;
        i = low / size;
      } else {
        position = i % sizes[d];
        i /= sizes[d];
      }
      for (int a = 0; a < count; ++a) result[a] += position * strides[a][d];
    }
    return result;
  }
};

// The walk with as few dimensions as possible: neighbours that lie behind each other in every array become one.
template <int count>
Walk<count> make_walk(const Shape& shape, const std::array<const Strides*, count>& strides) {
  Walk<count> walk;
  walk.narrow = shape.numel() <= INT32_MAX;
  for (int64_t d = 0; d < shape.rank(); ++d) {
    if (shape[d] == 1) continue;
    bool merges = walk.rank > 0;
    for (int a = 0; a < count; ++a) {
      if (merges && walk.strides[a][walk.rank - 1] != (*strides[a])[d] * shape[d]) merges = false;
    }
    if (!merges) walk.sizes[walk.rank++] = 1;
    walk.sizes[walk.rank - 1] *= shape[d];
    for (int a = 0; a < count; ++a) walk.strides[a][walk.rank - 1] = (*strides[a])[d];
  }
  return walk;
}

}  // namespace dnn::cuda
