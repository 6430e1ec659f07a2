// Where element (n, c, pixel) of images [n, c, h, w] lies in each layout, and which element lies at an offset.
#pragma once

#include <cstdint>

#include "core/storage.h"
#include "cuda/launch.cuh"

namespace dnn::cuda {

struct ImagePosition {
  int64_t n, c, pixel;
};

struct Images {
  detail::Layout layout = detail::Layout::plain;
  int64_t n = 1;
  int64_t channels = 1;
  int64_t pixels = 1;

  __host__ __device__ int64_t numel() const { return n * channels * pixels; }
  // Channels that lie side by side before the next pixel.
  __host__ __device__ int64_t block() const {
    switch (layout) {
      case detail::Layout::plain: return 1;
      case detail::Layout::channels_last: return channels;
      case detail::Layout::blocked8: return 8;
      case detail::Layout::blocked16: return 16;
    }
    return 1;
  }
  __device__ int64_t offset(const ImagePosition& at) const {
    const int64_t b = block();
    return ((at.n * (channels / b) + at.c / b) * pixels + at.pixel) * b + at.c % b;
  }
  __device__ int64_t channel(int64_t offset) const {
    const int64_t b = block(), groups = channels / b;
    return offset / b / pixels % groups * b + offset % b;
  }
  __device__ ImagePosition position(int64_t offset) const {
    const int64_t b = block(), groups = channels / b;
    const int64_t group = offset / b / pixels;
    return {group / groups, group % groups * b + offset % b, offset / b % pixels};
  }
};

// The images of a tensor [n, c, h, w] or [n, c].
inline Images images_of(const Tensor& t) {
  const Shape& shape = t.shape();
  Images images{detail::layout_of(t), shape[0], shape[1], 1};
  for (int64_t d = 2; d < shape.rank(); ++d) images.pixels *= shape[d];
  return images;
}

}  // namespace dnn::cuda
