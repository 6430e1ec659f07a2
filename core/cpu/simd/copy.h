// Filling, copying and converting, random numbers.
//
// A copy reads tile by tile through strided.h, converts the tile, and puts it where it belongs; contiguous tensors of
// one type are copied as bytes.
#pragma once

#include <cstring>

#include "core/cpu/simd/convert.h"
#include "core/cpu/simd/strided.h"
#include "core/kernels/copy.h"
#include "dnn/random.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

inline void fill(const Tensor& out, Scalar value) {
  visit_all("fill", out.dtype(), [&]<class T>(Type<T>) {
    const T element = value.is_floating() ? convert<T>(value.to_double()) : convert<T>(value.to_int64());
    T* to = pointer<T>(out);
    const Walk walk = walk_of(out);
    parallel_elements(out.numel(), [&](int64_t begin, int64_t end) {
      T buffer[tile];
      for (int64_t i = 0; i < tile; ++i) assign(buffer[i], element);
      Writer<T> writer(to, walk, begin);
      for (int64_t i = begin; i < end; i += tile) writer.put(smaller(tile, end - i), buffer);
    });
  });
}

template <class From, class To>
void convert_tile(const From* from, int64_t count, To* to) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) assign(to[i], convert<To>(from[i]));
}

template <class From, class To>
void copy_converted(const Tensor& in, const Tensor& out) {
  const From* from = pointer<From>(in);
  To* to = pointer<To>(out);
  const Walk in_walk = walk_of(in);
  const Walk out_walk = walk_of(out);
  parallel_elements(out.numel(), [&](int64_t begin, int64_t end) {
    From in_buffer[tile];
    To out_buffer[tile];
    Reader<From> reader(from, in_walk, begin);
    Writer<To> writer(to, out_walk, begin);
    for (int64_t i = begin; i < end; i += tile) {
      const int64_t count = smaller(tile, end - i);
      To* place = writer.place(count, out_buffer);
      convert_tile(reader.take(count, in_buffer), count, place);
      writer.put(count, place);
    }
  });
}

inline void copy(const Tensor& in, const Tensor& out) {
  if (in.dtype() == out.dtype() && in.is_contiguous() && out.is_contiguous()) {
    const char* from = pointer<char>(in);
    char* to = pointer<char>(out);
    const int64_t bytes = out.numel() * static_cast<int64_t>(size_of(out.dtype()));
    parallel(bytes, bytes / 4, 64, [=](int64_t begin, int64_t end) {
      std::memmove(to + begin, from + begin, static_cast<size_t>(end - begin));
    });
    return;
  }
  visit_all("copy", in.dtype(), [&]<class From>(Type<From>) {
    visit_all("copy", out.dtype(), [&]<class To>(Type<To>) { copy_converted<From, To>(in, out); });
  });
}

// Calls block(words, first, count) for the elements [first, first + count) of each block of `size`.
template <int size, class Block>
[[gnu::always_inline]] inline void for_each_random_block(int64_t n, uint64_t seed, uint64_t stream,
                                                         const Block& block) {
  parallel(ceil_div(n, size), 4 * n, 64, [=](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const auto words = philox(seed, stream, static_cast<uint64_t>(b));
      block(words, b * size, smaller(size, n - b * size));
    }
  });
}

inline void random_uniform(const Tensor& out, const detail::Draw& draw) {
  visit_floating("random_uniform", out.dtype(), [&]<class T>(Type<T>) {
    T* to = pointer<T>(out);
    for_each_random_block<4>(out.numel(), draw.seed, draw.stream, [=](const auto& words, int64_t first, int64_t count) {
      for (int64_t j = 0; j < count; ++j) assign(to[first + j], math::uniform<T>(words[static_cast<size_t>(j)]));
    });
  });
}

inline void random_normal(const Tensor& out, const detail::Draw& draw) {
  visit_floating("random_normal", out.dtype(), [&]<class T>(Type<T>) {
    T* to = pointer<T>(out);
    for_each_random_block<2>(out.numel(), draw.seed, draw.stream, [=](const auto& words, int64_t first, int64_t count) {
      float normal[2];
      math::box_muller(words[0], words[1], normal[0], normal[1]);
      for (int64_t j = 0; j < count; ++j) store(to, first + j, normal[j]);
    });
  });
}

inline void random_integers(const Tensor& out, int64_t low, uint64_t count, const detail::Draw& draw) {
  visit_numbers("random_integers", out.dtype(), [&]<class T>(Type<T>) {
    T* to = pointer<T>(out);
    for_each_random_block<2>(out.numel(), draw.seed, draw.stream, [=](const auto& words, int64_t first, int64_t elements) {
      for (int64_t j = 0; j < elements; ++j) {
        const auto word = static_cast<size_t>(2 * j);
        const uint64_t offset = math::below(uint64_t{words[word]} << 32 | words[word + 1], count);
        assign(to[first + j], convert<T>(static_cast<int64_t>(static_cast<uint64_t>(low) + offset)));
      }
    });
  });
}

inline void install_copy() {
  kernel::fill.set(DeviceType::cpu, fill);
  kernel::copy.set(DeviceType::cpu, copy);
  kernel::random_uniform.set(DeviceType::cpu, random_uniform);
  kernel::random_normal.set(DeviceType::cpu, random_normal);
  kernel::random_integers.set(DeviceType::cpu, random_integers);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
