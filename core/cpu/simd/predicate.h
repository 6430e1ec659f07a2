// The predicates, whose result is bool whatever the operands are, and `where`, which moves elements by their size
// alone.
#pragma once

#include "core/cpu/simd/strided.h"
#include "core/kernels/elementwise.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

template <class F, class T>
void unary_predicate_part(F f, const T* x, bool* out, int64_t begin, int64_t end) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) out[i] = f.test(load(x, i));
}

template <class F>
void unary_predicate(const F& f, const Tensor& x, const Tensor& out) {
  visit_all(F::name, x.dtype(), [&]<class T>(Type<T>) {
    const T* from = pointer<T>(x);
    bool* to = pointer<bool>(out);
    parallel_elements(out.numel(), [&](int64_t begin, int64_t end) { unary_predicate_part(f, from, to, begin, end); });
  });
}

template <class F, class T>
void binary_predicate_tile(F f, const T* a, const T* b, bool* out, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) out[i] = f.test(load(a, i), load(b, i));
}

template <class F>
void binary_predicate(const F& f, const Tensor& a, const Tensor& b, const Tensor& out) {
  visit_all(F::name, a.dtype(), [&]<class T>(Type<T>) {
    const T* left = pointer<T>(a);
    const T* right = pointer<T>(b);
    bool* to = pointer<bool>(out);
    const Walk left_walk = walk_of(a);
    const Walk right_walk = walk_of(b);
    parallel_elements(out.numel(), [&](int64_t begin, int64_t end) {
      T left_buffer[tile], right_buffer[tile];
      Reader<T> left_reader(left, left_walk, begin);
      Reader<T> right_reader(right, right_walk, begin);
      for (int64_t i = begin; i < end; i += tile) {
        const int64_t count = smaller(tile, end - i);
        const T* left_tile = left_reader.take(count, left_buffer);
        const T* right_tile = right_reader.take(count, right_buffer);
        binary_predicate_tile(f, left_tile, right_tile, to + i, count);
      }
    });
  });
}

template <class T>
void where_tile(const bool* condition, const T* a, const T* b, T* out, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) out[i] = condition[i] ? a[i] : b[i];
}

// T is an unsigned type of the element's size.
template <class T>
void where_sized(const Tensor& condition, const Tensor& a, const Tensor& b, const Tensor& out) {
  const bool* choice = pointer<bool>(condition);
  const T* left = pointer<T>(a);
  const T* right = pointer<T>(b);
  T* to = pointer<T>(out);
  const Walk choice_walk = walk_of(condition);
  const Walk left_walk = walk_of(a);
  const Walk right_walk = walk_of(b);
  parallel_elements(out.numel(), [&](int64_t begin, int64_t end) {
    bool choice_buffer[tile];
    T left_buffer[tile], right_buffer[tile];
    Reader<bool> choice_reader(choice, choice_walk, begin);
    Reader<T> left_reader(left, left_walk, begin);
    Reader<T> right_reader(right, right_walk, begin);
    for (int64_t i = begin; i < end; i += tile) {
      const int64_t count = smaller(tile, end - i);
      const bool* choice_tile = choice_reader.take(count, choice_buffer);
      const T* left_tile = left_reader.take(count, left_buffer);
      const T* right_tile = right_reader.take(count, right_buffer);
      where_tile(choice_tile, left_tile, right_tile, to + i, count);
    }
  });
}

inline void where(const Tensor& condition, const Tensor& a, const Tensor& b, const Tensor& out) {
  switch (size_of(out.dtype())) {
    case 1: return where_sized<uint8_t>(condition, a, b, out);
    case 2: return where_sized<uint16_t>(condition, a, b, out);
    case 4: return where_sized<uint32_t>(condition, a, b, out);
    default: return where_sized<uint64_t>(condition, a, b, out);
  }
}

inline void install_predicate_lists() {
  functor::for_each(functor::UnaryPredicates{},
                    []<class F>(F) { kernel::unary_predicate<F>.set(DeviceType::cpu, unary_predicate<F>); });
  functor::for_each(functor::BinaryPredicates{},
                    []<class F>(F) { kernel::binary_predicate<F>.set(DeviceType::cpu, binary_predicate<F>); });
  kernel::where.set(DeviceType::cpu, where);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
