// Dropout: the mask is drawn from Philox while the elements pass by, and is never stored.
//
// One Philox block gives the masks of four elements that follow each other with the channels innermost. Three forms:
// memory in that very order (packs of 16 bytes); images whose channels divide by four (a thread takes four channels of
// a pixel); any other images (a thread takes one element and one word of its block).
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/layout.cuh"
#include "cuda/random_stream.cuh"
#include "cuda/vector.cuh"
#include "dnn/random.h"

namespace dnn::cuda {

struct DropoutRule {
  uint32_t threshold;
  bool nothing_kept;  // p = 1
  double scale;
};

struct DropoutMask {
  RandomStream draw;
  DropoutRule rule;

  __device__ auto block(int64_t number) const { return philox(draw.seed, draw.stream, static_cast<uint64_t>(number)); }
  // Of an element alone; an array indexed by its place would lie in memory.
  __device__ uint32_t word(int64_t element) const {
    const auto words = block(element / 4);
    const uint32_t low = element % 2 == 0 ? words[0] : words[1], high = element % 2 == 0 ? words[2] : words[3];
    return element % 4 < 2 ? low : high;
  }
  template <class C>
  __device__ C apply(uint32_t word, C x) const {
    return !rule.nothing_kept && word >= rule.threshold ? static_cast<C>(rule.scale) * x : C(0);
  }
};

namespace {

template <class T>
__device__ void put(T* out, int64_t i, bool accumulate, Compute<T> value) {
  out[i] = static_cast<T>(accumulate ? static_cast<Compute<T>>(out[i]) + value : value);
}

}  // namespace

template <class T>
__global__ void dropout_kernel(Varying<RandomStream> random, DropoutRule rule, const T* x, T* out, bool accumulate,
                               int64_t n) {
  const DropoutMask mask{random(), rule};
  using C = Compute<T>;
  constexpr int width = Pack<T>::width;
  for (const auto i : grid_stride(pack_count<T>(n))) {
    Pack<T> pack = load_vec(x, i, n), before{};
    if (accumulate) before = load_vec(out, i, n);
    auto words = mask.block(i * width / 4);
    for (int k = 0; k < width; ++k) {
      const int64_t element = i * width + k;
      if (k > 0 && element % 4 == 0) words = mask.block(element / 4);
      const C value = mask.apply(words[element % 4], static_cast<C>(pack.values[k]));
      pack.values[k] = static_cast<T>(accumulate ? static_cast<C>(before.values[k]) + value : value);
    }
    store_vec(out, i, n, pack);
  }
}

template <class T>
__global__ void dropout_quads_kernel(Varying<RandomStream> random, DropoutRule rule, Images images, const T* x, T* out,
                                     bool accumulate) {
  const DropoutMask mask{random(), rule};
  const int64_t quads = images.channels / 4;
  for (const auto i : grid_stride(images.numel() / 4)) {
    const int64_t n = i / (quads * images.pixels), quad = i / images.pixels % quads, pixel = i % images.pixels;
    const auto words = mask.block((n * images.pixels + pixel) * quads + quad);
    for (int k = 0; k < 4; ++k) {
      const int64_t at = images.offset({n, 4 * quad + k, pixel});
      put(out, at, accumulate, mask.apply(words[k], static_cast<Compute<T>>(x[at])));
    }
  }
}

template <class T>
__global__ void dropout_images_kernel(Varying<RandomStream> random, DropoutRule rule, Images images, const T* x, T* out,
                                      bool accumulate) {
  const DropoutMask mask{random(), rule};
  for (const auto i : grid_stride(images.numel())) {
    const ImagePosition at = images.position(i);
    const int64_t element = (at.n * images.pixels + at.pixel) * images.channels + at.c;
    put(out, i, accumulate, mask.apply(mask.word(element), static_cast<Compute<T>>(x[i])));
  }
}

void dropout(const Tensor& x, double p, const detail::Draw& draw, const Tensor& out, bool accumulate) {
  const double bound = p * 4294967296.0;
  const DropoutRule rule{bound >= 4294967295.0 ? UINT32_MAX : static_cast<uint32_t>(bound), p >= 1,
                         p < 1 ? 1 / (1 - p) : 0};
  visit_floating(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const int64_t n = out.numel();
    if (n == 0) return;
    const Varying<RandomStream> random = random_stream(draw, context);
    const T* from = elements<T>(x);
    T* to = elements<T>(out);
    if (x.rank() != 4 || detail::layout_of(x) == detail::Layout::channels_last) {
      launch(dropout_kernel<T>, context.grid(pack_count<T>(n)), context, random, rule, from, to, accumulate, n);
    } else if (const Images images = images_of(x); images.channels % 4 == 0) {
      launch(dropout_quads_kernel<T>, context.grid(n / 4), context, random, rule, images, from, to, accumulate);
    } else {
      launch(dropout_images_kernel<T>, context.grid(n), context, random, rule, images, from, to, accumulate);
    }
  });
}

}  // namespace dnn::cuda
