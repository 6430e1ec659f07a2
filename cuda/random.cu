// Random numbers: each thread turns the words of one Philox block into the elements that belong to it, so that the
// result is the CPU's, whatever the grid.
#include "core/math.h"
#include "cuda/convert.cuh"
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/random_stream.cuh"
#include "dnn/random.h"

namespace dnn::cuda {

template <class T>
__global__ void random_uniform_kernel(T* out, int64_t n, Varying<RandomStream> random) {
  const RandomStream draw = random();
  for (const auto block : grid_stride((n + 3) / 4)) {
    const auto words = philox(draw.seed, draw.stream, static_cast<uint64_t>(block));
    for (int k = 0; k < 4; ++k) {
      if (4 * block + k < n) out[4 * block + k] = math::uniform<T>(words[k]);
    }
  }
}

template <class T>
__global__ void random_normal_kernel(T* out, int64_t n, Varying<RandomStream> random) {
  const RandomStream draw = random();
  for (const auto block : grid_stride((n + 1) / 2)) {
    const auto words = philox(draw.seed, draw.stream, static_cast<uint64_t>(block));
    float normal[2];
    math::box_muller(words[0], words[1], normal[0], normal[1]);
    for (int k = 0; k < 2; ++k) {
      if (2 * block + k < n) out[2 * block + k] = static_cast<T>(normal[k]);
    }
  }
}

void random_uniform(const Tensor& out, const detail::Draw& draw) {
  visit_floating(out.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const int64_t n = out.numel();
    launch(random_uniform_kernel<T>, context.grid((n + 3) / 4), context, elements<T>(out), n,
           random_stream(draw, context));
  });
}

void random_normal(const Tensor& out, const detail::Draw& draw) {
  visit_floating(out.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const int64_t n = out.numel();
    launch(random_normal_kernel<T>, context.grid((n + 1) / 2), context, elements<T>(out), n,
           random_stream(draw, context));
  });
}

template <class T>
__global__ void random_integers_kernel(T* out, int64_t n, int64_t low, uint64_t count, Varying<RandomStream> random) {
  const RandomStream draw = random();
  for (const auto block : grid_stride((n + 1) / 2)) {
    const auto words = philox(draw.seed, draw.stream, static_cast<uint64_t>(block));
    for (int k = 0; k < 2; ++k) {
      const uint64_t word = uint64_t{words[2 * k]} << 32 | words[2 * k + 1];
      if (2 * block + k < n)
        out[2 * block + k] = convert<T>(static_cast<int64_t>(static_cast<uint64_t>(low) + math::below(word, count)));
    }
  }
}

void random_integers(const Tensor& out, int64_t low, uint64_t count, const detail::Draw& draw) {
  visit_numbers(out.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const int64_t n = out.numel();
    launch(random_integers_kernel<T>, context.grid((n + 1) / 2), context, elements<T>(out), n, low, count,
           random_stream(draw, context));
  });
}

}  // namespace dnn::cuda
