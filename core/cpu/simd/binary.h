// The slots of binary functors: one loop per functor and type, which reads both operands through strided.h, tile by
// tile; that costs nothing when they are contiguous.
#pragma once

#include "core/cpu/simd/strided.h"
#include "core/kernels/elementwise.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

template <class F, class T>
void binary_forward_tile(F f, const T* a, const T* b, T* out, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) store(out, i, f.template forward<Compute<T>>(load(a, i), load(b, i)));
}

template <class F>
void binary_forward(const F& f, const Tensor& a, const Tensor& b, const Tensor& out) {
  const auto run = [&]<class T>(Type<T>) {
    const T* left = pointer<T>(a);
    const T* right = pointer<T>(b);
    T* to = pointer<T>(out);
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
        binary_forward_tile(f, left_tile, right_tile, to + i, count);
      }
    });
  };
  if constexpr (F::floating_only) {
    visit_floating(F::name, out.dtype(), run);
  } else {
    visit_numbers(F::name, out.dtype(), run);
  }
}

template <bool accumulate, int operand, class F, class T>
void binary_backward_tile(F f, const T* grad, const T* a, const T* b, T* out, int64_t count) {
  using C = Compute<T>;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const C left = F::saves == functor::Saves::nothing ? C(0) : load(a, i);
    const C right = F::saves == functor::Saves::nothing ? C(0) : load(b, i);
    const C slope =
        operand == 0 ? f.template derivative_a<C>(left, right, C(0)) : f.template derivative_b<C>(left, right, C(0));
    put<accumulate>(out, i, load(grad, i) * slope);
  }
}

template <class F, class T>
void binary_backward_tile(F f, int operand, bool accumulate, const T* grad, const T* a, const T* b, T* out,
                          int64_t count) {
  if (operand == 0) {
    if (accumulate) {
      binary_backward_tile<true, 0>(f, grad, a, b, out, count);
    } else {
      binary_backward_tile<false, 0>(f, grad, a, b, out, count);
    }
  } else {
    if (accumulate) {
      binary_backward_tile<true, 1>(f, grad, a, b, out, count);
    } else {
      binary_backward_tile<false, 1>(f, grad, a, b, out, count);
    }
  }
}

template <class F>
void binary_backward(const F& f, int operand, const Tensor& grad, const Tensor& a, const Tensor& b, const Tensor& out,
                     bool accumulate) {
  static_assert(F::saves != functor::Saves::output, "the derivatives of a binary functor are not given its output");
  constexpr bool reads = F::saves == functor::Saves::input;
  visit_floating(F::name, out.dtype(), [&]<class T>(Type<T>) {
    const T* upstream = pointer<T>(grad);
    const T* left = reads ? pointer<T>(a) : nullptr;
    const T* right = reads ? pointer<T>(b) : nullptr;
    T* to = pointer<T>(out);
    const Walk left_walk = walk_of(reads ? a : out);
    const Walk right_walk = walk_of(reads ? b : out);
    parallel_elements(out.numel(), [&](int64_t begin, int64_t end) {
      T left_buffer[tile], right_buffer[tile];
      Reader<T> left_reader(left, left_walk, begin);
      Reader<T> right_reader(right, right_walk, begin);
      for (int64_t i = begin; i < end; i += tile) {
        const int64_t count = smaller(tile, end - i);
        const T* left_tile = reads ? left_reader.take(count, left_buffer) : nullptr;
        const T* right_tile = reads ? right_reader.take(count, right_buffer) : nullptr;
        binary_backward_tile(f, operand, accumulate, upstream + i, left_tile, right_tile, to + i, count);
      }
    });
  });
}

inline void install_binary_list() {
  functor::for_each(functor::Binary{}, []<class F>(F) {
    kernel::binary_forward<F>.set(DeviceType::cpu, binary_forward<F>);
    kernel::binary_backward<F>.set(DeviceType::cpu, binary_backward<F>);
  });
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
