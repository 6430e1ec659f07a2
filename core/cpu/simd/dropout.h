// Dropout: the mask comes from a counter-based generator, so every element knows its own random word.
//
// Element number i counts channels innermost. A thread draws the words of 64 neighbouring numbers at a time and applies
// them where those elements lie.
#pragma once

#include "core/cpu/simd/channels.h"
#include "core/kernels/norm.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

inline constexpr int64_t dropout_tile = 64;
inline constexpr int64_t philox_batch = 8;

// dnn::philox of a batch of neighbouring counters, turned inside out so that the rounds vectorise:
// words[4 * b + k] = philox(seed, stream, first + b)[k]. Not inlined: g++ would unroll the loops instead.
[[gnu::noinline]] inline void philox_blocks(uint64_t seed, uint64_t stream, uint64_t first, uint32_t* words) {
  uint32_t c0[philox_batch], c1[philox_batch], c2[philox_batch], c3[philox_batch];
  for (int b = 0; b < philox_batch; ++b) {
    const uint64_t counter = first + static_cast<uint64_t>(b);
    c0[b] = static_cast<uint32_t>(counter), c1[b] = static_cast<uint32_t>(counter >> 32);
    c2[b] = static_cast<uint32_t>(stream), c3[b] = static_cast<uint32_t>(stream >> 32);
  }
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
#pragma omp simd
    for (int b = 0; b < philox_batch; ++b) {
      const uint64_t p0 = uint64_t{0xD2511F53u} * c0[b], p1 = uint64_t{0xCD9E8D57u} * c2[b];
      c0[b] = static_cast<uint32_t>(p1 >> 32) ^ c1[b] ^ k0;
      c2[b] = static_cast<uint32_t>(p0 >> 32) ^ c3[b] ^ k1;
      c1[b] = static_cast<uint32_t>(p1);
      c3[b] = static_cast<uint32_t>(p0);
    }
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  for (int b = 0; b < philox_batch; ++b) {
    words[4 * b] = c0[b], words[4 * b + 1] = c1[b], words[4 * b + 2] = c2[b], words[4 * b + 3] = c3[b];
  }
}

// Room for the words of a tile that starts within a block of four.
using Words = uint32_t[dropout_tile + 4 * philox_batch];

// Random words of the elements first ... first + count - 1, count <= dropout_tile; returns where the first one is.
inline const uint32_t* draw_words(uint64_t seed, uint64_t stream, int64_t first, int64_t count, Words& words) {
  const int64_t first_block = first / 4, blocks = ceil_div(first + count, 4) - first_block;
  for (int64_t b = 0; b < blocks; b += philox_batch) {
    philox_blocks(seed, stream, static_cast<uint64_t>(first_block + b), words + 4 * b);
  }
  return words + first % 4;
}

template <class C>
struct Mask {
  uint64_t seed, stream;
  uint32_t threshold;
  C scale;  // of kept elements
};

// Neighbouring elements, of which words[i] decides.
template <bool accumulate, class T>
[[gnu::always_inline]] inline void dropout_piece(const Mask<Compute<T>>& mask, const uint32_t* words, int64_t count,
                                                 const T* x, T* out) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    put<accumulate>(out, i, words[i] >= mask.threshold ? load(x, i) * mask.scale : Compute<T>(0));
  }
}

// Elements number begin ... end - 1 where numbers follow memory.
template <bool accumulate, class T>
void dropout_in_order(const Mask<Compute<T>>& mask, const T* x, T* out, int64_t begin, int64_t end) {
  Words buffer;
  for (int64_t i = begin; i < end; i += dropout_tile) {
    const int64_t count = smaller(dropout_tile, end - i);
    const uint32_t* const words = draw_words(mask.seed, mask.stream, i, count, buffer);
    dropout_piece<accumulate>(mask, words, count, x + i, out + i);
  }
}

// The same in other layouts: numbers are neighbours in memory within the channels of one block, a power of two.
template <bool accumulate, class T>
void dropout_by_blocks(const Mask<Compute<T>>& mask, const Channels& view, const T* x, T* out, int64_t begin,
                       int64_t end) {
  Words buffer;
  const int64_t channels = view.count();
  int64_t row = begin / channels, channel = begin % channels, start = view.offset(0, row);
  for (int64_t i = begin; i < end; i += dropout_tile) {
    const int64_t count = smaller(dropout_tile, end - i);
    const uint32_t* const words = draw_words(mask.seed, mask.stream, i, count, buffer);
    for (int64_t done = 0; done < count;) {
      const int64_t lane = channel & (view.width - 1);
      const int64_t piece = smaller(view.width - lane, count - done);
      const int64_t offset = start + (channel - lane) * view.pixels + lane;
      dropout_piece<accumulate>(mask, words + done, piece, x + offset, out + offset);
      done += piece, channel += piece;
      if (channel == channels) channel = 0, start = view.offset(0, ++row);
    }
  }
}

template <bool accumulate, class T>
void dropout_all(const Mask<Compute<T>>& mask, const Tensor& x, const Tensor& out) {
  const T* const from = pointer<T>(x);
  T* const to = pointer<T>(out);
  const int64_t numel = x.numel();
  const Channels view = x.rank() == 4 ? channels_of(x) : Channels{1, 1, 1, numel};
  parallel(numel, numel * 4, dropout_tile, [&](int64_t begin, int64_t end) {
    if (view.blocks == 1) return dropout_in_order<accumulate>(mask, from, to, begin, end);
    dropout_by_blocks<accumulate>(mask, view, from, to, begin, end);
  });
}

inline void dropout(const Tensor& x, double p, const detail::Draw& draw, const Tensor& out, bool accumulate) {
  if (x.numel() == 0) return;
  const double threshold = p * 4294967296.0;
  visit_floating("dropout", x.dtype(), [&]<class T>(Type<T>) {
    using C = Compute<T>;
    Mask<C> mask{draw.seed, draw.stream, threshold < 4294967295.0 ? static_cast<uint32_t>(threshold) : 4294967295u,
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
