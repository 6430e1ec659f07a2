// What follows a convolution in one pass: bias, addition and ReLU, in place.
//
// A thread takes 16 bytes at a time. The channel of the first element of a pack is computed, those of the others are
// counted on from it.
#include "core/functors.h"
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/layout.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

// out = activation(out + bias + add) of n elements, `inner` of one channel side by side; bias and add may be null.
template <class T>
__global__ void conv_epilogue_kernel(const T* bias, const T* add, bool relu, T* out, int64_t n, int64_t channels,
                                     int64_t inner) {
  using C = Compute<T>;
  for (const auto i : grid_stride(pack_count<T>(n))) {
    Pack<T> pack = load_vec(static_cast<const T*>(out), i, n);
    Pack<T> addend{};
    if (add != nullptr) addend = load_vec(add, i, n);
    const int64_t first = i * Pack<T>::width;
    int64_t pixel = first % inner, channel = first / inner % channels;
    for (int k = 0; k < Pack<T>::width; ++k) {
      C value = static_cast<C>(pack.values[k]);
      if (bias != nullptr) value += static_cast<C>(bias[channel]);
      if (add != nullptr) value += static_cast<C>(addend.values[k]);
      pack.values[k] = static_cast<T>(relu ? functor::Relu{}.forward(value) : value);
      if (++pixel == inner) {
        pixel = 0;
        if (++channel == channels) channel = 0;
      }
    }
    store_vec(out, i, n, pack);
  }
}

void conv_epilogue(const Tensor& bias, const Tensor& add, Activation activation, const Tensor& out) {
  visit_floating(out.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const Images images = images_of(out);
    const int64_t inner = images.layout == detail::Layout::channels_last ? 1 : images.pixels;
    launch(conv_epilogue_kernel<T>, context.grid(pack_count<T>(out.numel())), context, elements<T>(bias),
           elements<T>(add), activation == Activation::relu, elements<T>(out), out.numel(), images.channels, inner);
  });
}

}  // namespace dnn::cuda
