// The slots of unary functors: one loop per functor and type, over memory in the order it lies, whatever the layout.
#pragma once

#include "core/cpu/simd/common.h"
#include "core/kernels/elementwise.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

template <class F, class T>
void unary_forward_part(F f, const T* x, T* out, int64_t begin, int64_t end) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) store(out, i, f.template forward<Compute<T>>(load(x, i)));
}

template <class F>
void unary_forward(const F& f, const Tensor& x, const Tensor& out) {
  const auto run = [&]<class T>(Type<T>) {
    const T* from = pointer<T>(x);
    T* to = pointer<T>(out);
    parallel_elements(out.numel(), [&](int64_t begin, int64_t end) { unary_forward_part(f, from, to, begin, end); });
  };
  if constexpr (F::floating_only) {
    visit_floating(F::name, out.dtype(), run);
  } else {
    visit_numbers(F::name, out.dtype(), run);
  }
}

template <bool accumulate, class F, class T>
void unary_backward_part(F f, const T* grad, const T* saved, T* out, int64_t begin, int64_t end) {
  using C = Compute<T>;
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const C x = F::saves == functor::Saves::input ? load(saved, i) : C(0);
    const C y = F::saves == functor::Saves::output ? load(saved, i) : C(0);
    put<accumulate>(out, i, load(grad, i) * f.template derivative<C>(x, y));
  }
}

template <class F>
void unary_backward(const F& f, const Tensor& grad, const Tensor& saved, const Tensor& out, bool accumulate) {
  visit_floating(F::name, out.dtype(), [&]<class T>(Type<T>) {
    const T* upstream = pointer<T>(grad);
    const T* kept = F::saves == functor::Saves::nothing ? nullptr : pointer<T>(saved);
    T* to = pointer<T>(out);
    parallel_elements(out.numel(), [&](int64_t begin, int64_t end) {
      if (accumulate) {
        unary_backward_part<true>(f, upstream, kept, to, begin, end);
      } else {
        unary_backward_part<false>(f, upstream, kept, to, begin, end);
      }
    });
  });
}

template <class List>
void install_unary_list(List list) {
  functor::for_each(list, []<class F>(F) {
    kernel::unary_forward<F>.set(DeviceType::cpu, unary_forward<F>);
    kernel::unary_backward<F>.set(DeviceType::cpu, unary_backward<F>);
  });
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
