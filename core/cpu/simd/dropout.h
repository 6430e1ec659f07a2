// Dropout: the mask comes from a counter-based generator, so every element knows its own random word.
//
// Element number i counts channels innermost. Where memory has another order, a thread draws the words of one pixel for
// up to 64 channels and applies them where those channels lie.
#pragma once

#include "core/cpu/simd/channels.h"
#include "core/kernels/norm.h"
#include "dnn/random.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

inline constexpr int64_t dropout_tile = 64;

// words[i] = random word of element `first + i`, for i < count <= dropout_tile; returns where word 0 is.
[[gnu::always_inline]] inline const uint32_t* draw_words(uint64_t seed, uint64_t stream, int64_t first, int64_t count,
                                                         uint32_t (&buffer)[dropout_tile + 8]) {
  const int64_t first_block = first / 4, blocks = ceil_div(first + count, 4) - first_block;
  for (int64_t b = 0; b < blocks; ++b) {
    const auto words = philox(seed, stream, static_cast<uint64_t>(first_block + b));
    for (int64_t k = 0; k < 4; ++k) buffer[4 * b + k] = words[static_cast<size_t>(k)];
  }
  return buffer + first % 4;
}

template <class C>
struct Mask {
  uint64_t seed, stream;
  uint32_t threshold;
  C scale;  // of kept elements
};

// Elements first ... first + count - 1, which lie `stride` apart at x and out.
template <bool accumulate, class T>
void dropout_run(const Mask<Compute<T>>& mask, int64_t first, int64_t count, const T* x, T* out, int64_t stride) {
  uint32_t buffer[dropout_tile + 8];
  const uint32_t* const words = draw_words(mask.seed, mask.stream, first, count, buffer);
  if (stride == 1) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
      put<accumulate>(out, i, words[i] >= mask.threshold ? load(x, i) * mask.scale : Compute<T>(0));
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      put<accumulate>(out, i * stride, words[i] >= mask.threshold ? load(x, i * stride) * mask.scale : Compute<T>(0));
    }
  }
}

template <bool accumulate, class T>
void dropout_all(const Mask<Compute<T>>& mask, const Tensor& x, const Tensor& out) {
  const T* const from = pointer<T>(x);
  T* const to = pointer<T>(out);
  const int64_t numel = x.numel();
  const Channels view = x.rank() == 4 ? channels_of(x) : Channels{1, 1, 1, numel};
  if (view.blocks == 1) {  // memory order is the order of the numbers
    parallel(numel, numel * 4, dropout_tile, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += dropout_tile) {
        dropout_run<accumulate>(mask, i, smaller(dropout_tile, end - i), from + i, to + i, 1);
      }
    });
    return;
  }
  // Plain: a run of neighbouring numbers takes one pixel of up to 64 planes; blocked: the channels of one block.
  const int64_t channels = view.count(), tile = view.width == 1 ? dropout_tile : view.width;
  const int64_t stride = view.width == 1 ? view.pixels : 1;
  parallel(view.rows(), numel * 4, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t c = 0; c < channels; c += tile) {
        const int64_t offset = view.offset(c / view.width, row);
        dropout_run<accumulate>(mask, row * channels + c, smaller(tile, channels - c), from + offset, to + offset,
                                stride);
      }
    }
  });
}

inline void dropout(const Tensor& x, double p, uint64_t seed, uint64_t stream, const Tensor& out, bool accumulate) {
  if (x.numel() == 0) return;
  const double threshold = p * 4294967296.0;
  visit_floating("dropout", x.dtype(), [&]<class T>(Type<T>) {
    using C = Compute<T>;
    Mask<C> mask{seed, stream, threshold < 4294967295.0 ? static_cast<uint32_t>(threshold) : 4294967295u,
                 static_cast<C>(1.0 / (1.0 - p))};
    if (p >= 1) mask.scale = 0;
    if (accumulate) {
      dropout_all<true, T>(mask, x, out);
    } else {
      dropout_all<false, T>(mask, x, out);
    }
  });
}

inline void install_dropout() { kernel::dropout.set(DeviceType::cpu, dropout); }

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
