// Augmentation of images: a thread computes all channels of a pixel, so that what it writes to channels_last lies
// together.
#include "core/kernels/augment.h"
#include "cuda/dispatch.h"
#include "cuda/fault.cuh"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/layout.cuh"
#include "cuda/random_stream.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

// `indices` null: the images in their order.
template <class T>
__global__ void augment_kernel(Varying<RandomStream> random, kernel::AugmentProblem p, const uint8_t* images,
                               const int64_t* indices, Images out, T* to, LabelFault* fault) {
  using C = Compute<T>;
  const RandomStream draw = random();
  for (const auto i : grid_stride(out.n * out.pixels)) {
    const int64_t n = i / out.pixels, pixel = i % out.pixels;
    const int64_t asked = indices != nullptr ? indices[n] : n;
    const bool good = 0 <= asked && asked < p.images;
    if (!good) note_fault(fault, n, asked);
    const int64_t index = good ? asked : 0;
    const kernel::ImageWindow window = p.window(draw.seed, draw.stream, index);
    const int64_t y = pixel / p.columns, x = pixel % p.columns;
    const int64_t row = p.place(window.top + y, p.height);
    const int64_t column = p.place(window.left + (window.flipped ? p.columns - 1 - x : x), p.width);
    const bool inside = good && row >= 0 && column >= 0;
    const uint8_t* const from = images + index * p.channels * p.height * p.width + row * p.width + column;
    for (int64_t c = 0; c < p.channels; ++c)
      to[out.offset({n, c, pixel})] = static_cast<T>(inside ? p.number<C>(from[c * p.height * p.width], c) : C(0));
  }
}

void augment(const kernel::AugmentProblem& problem, const Tensor& images, const Tensor& indices,
             const detail::Draw& draw, const Tensor& out) {
  Context& context = Context::of(out);
  const Images to = images_of(out);
  const Varying<RandomStream> random = random_stream(draw, context);
  LabelFault* const fault =
      indices.defined() ? context.label_fault(problem.images, "augment_images", "index") : nullptr;
  visit_floating(out.dtype(), [&]<class T>(T) {
    launch(augment_kernel<T>, context.grid(to.n * to.pixels), context, random, problem, elements<const uint8_t>(images),
           elements<const int64_t>(indices), to, elements<T>(out), fault);
  });
}

}  // namespace dnn::cuda
