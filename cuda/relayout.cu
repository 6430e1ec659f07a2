// Changes of layout of images [n, c, h, w] with elements of 2 or 4 bytes, whatever they are; and additions to images in
// another layout.
//
// Between plain and channels_last, each image is a matrix [c, pixels] to be transposed. A block moves tiles of 32 x 32
// through shared memory, so that both the reads and the writes of a warp are neighbours in memory; the 33rd column of
// the tile keeps the lanes of a warp in different banks. Every other change moves element by element.
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/layout.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

namespace {
constexpr int tile = 32;
constexpr int tile_rows = 8;  // of a tile that a block moves at a time

// An element that takes the other's place, or is added to it.
template <bool adds, class T>
__device__ void arrive(T value, T& to) {
  if constexpr (adds)
    to = T(Compute<T>(to) + Compute<T>(value));
  else
    to = value;
}

}  // namespace

// [count, rows, columns] -> [count, columns, rows].
template <bool adds, class T>
__global__ void transpose_kernel(const T* from, T* to, int64_t count, int64_t rows, int64_t columns) {
  T* shared = block_shared<T, tile*(tile + 1)>();
  const int x = static_cast<int>(threadIdx.x) % tile, y = static_cast<int>(threadIdx.x) / tile;
  const int64_t tiles_down = (rows + tile - 1) / tile, tiles_across = (columns + tile - 1) / tile;
  for (int64_t item = blockIdx.x; item < count * tiles_down * tiles_across; item += gridDim.x) {
    const int64_t matrix = item / (tiles_down * tiles_across) * rows * columns;
    const int64_t top = item / tiles_across % tiles_down * tile, left = item % tiles_across * tile;
    for (int r = y; r < tile; r += tile_rows) {
      if (top + r < rows && left + x < columns)
        shared[r * (tile + 1) + x] = from[matrix + (top + r) * columns + left + x];
    }
    __syncthreads();
    for (int r = y; r < tile; r += tile_rows) {
      if (left + r < columns && top + x < rows)
        arrive<adds>(shared[x * (tile + 1) + r], to[matrix + (left + r) * rows + top + x]);
    }
    __syncthreads();  // before the next tile overwrites this one
  }
}

template <bool adds, class T>
__global__ void relayout_kernel(const T* from, Images from_images, T* to, Images to_images) {
  for (const auto i : grid_stride(to_images.numel()))
    arrive<adds>(from[from_images.offset(to_images.position(i))], to[i]);
}

namespace {

template <bool adds, class T>
void relayout_elements(const T* source, detail::Layout from_layout, T* target, detail::Layout to_layout,
                       const Shape& nchw) {
  using detail::Layout;
  // The slot gets pointers, no tensor; they lie on the device whose context the caller made current.
  Context& context = Context::current();
  const int64_t pixels = nchw[2] * nchw[3];
  const Images source_images{from_layout, nchw[0], nchw[1], pixels}, target_images{to_layout, nchw[0], nchw[1], pixels};
  const auto transpose = [&](int64_t rows, int64_t columns) {
    const int64_t tiles = nchw[0] * ((rows + tile - 1) / tile) * ((columns + tile - 1) / tile);
    launch(transpose_kernel<adds, T>, context.grid(tiles * 256), context, source, target, nchw[0], rows, columns);
  };
  if (source_images.numel() == 0) return;
  if (from_layout == Layout::plain && to_layout == Layout::channels_last) return transpose(nchw[1], pixels);
  if (from_layout == Layout::channels_last && to_layout == Layout::plain) return transpose(pixels, nchw[1]);
  launch(relayout_kernel<adds, T>, context.grid(target_images.numel()), context, source, source_images, target,
         target_images);
}

}  // namespace

void relayout(const void* from, detail::Layout from_layout, void* to, detail::Layout to_layout, const Shape& nchw,
              int64_t element_bytes) {
  const auto run = [&]<class T>(T) {
    relayout_elements<false>(static_cast<const T*>(from), from_layout, static_cast<T*>(to), to_layout, nchw);
  };
  element_bytes == 2 ? run(uint16_t{}) : run(uint32_t{});
}

void relayout_add(const Tensor& from, const Tensor& to) {
  visit_floating(to.dtype(), [&]<class T>(T) {
    relayout_elements<true>(elements<const T>(from), detail::layout_of(from), elements<T>(to), detail::layout_of(to),
                            to.shape());
  });
}

}  // namespace dnn::cuda
