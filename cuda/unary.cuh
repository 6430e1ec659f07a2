// Element-wise operations of one tensor: the kernels of any functor, forward and backward, and the filling of the slots
// of a list. Each list is compiled apart (unary.cu, activation.cu).
//
// Each thread takes 16 bytes at a time: load a pack, apply the functor in the compute type, store the pack. Layouts do
// not matter, since input and output have the same one.
#pragma once

#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/vector.cuh"

namespace dnn::cuda {

template <class T, class F>
__global__ void unary_forward_kernel(F f, const T* x, T* out, int64_t n) {
  for (const auto i : grid_stride(pack_count<T>(n))) {
    Pack<T> pack = load_vec(x, i, n);
    unrolled<Pack<T>::width>([&](int k) {
      T& value = pack.values[k];
      value = static_cast<T>(f.forward(static_cast<Compute<T>>(value)));
    });
    store_vec(out, i, n, pack);
  }
}

template <class F>
void unary_forward(const F& f, const Tensor& x, const Tensor& out) {
  const auto run = [&]<class T>(T) {
    Context& context = Context::of(out);
    const int64_t n = out.numel();
    launch(unary_forward_kernel<T, F>, context.grid(pack_count<T>(n)), context, f, elements<T>(x), elements<T>(out), n);
  };
  if constexpr (F::floating_only)
    visit_floating(out.dtype(), run);
  else
    visit_numbers(out.dtype(), run);
}

// `saved` is null for functors that save nothing.
template <class T, class F>
__global__ void unary_backward_kernel(F f, const T* grad, const T* saved, T* out, bool accumulate, int64_t n) {
  using C = Compute<T>;
  for (const auto i : grid_stride(pack_count<T>(n))) {
    Pack<T> pack = load_vec(grad, i, n);
    Pack<T> kept{}, before{};
    if constexpr (F::saves != functor::Saves::nothing) kept = load_vec(saved, i, n);
    if (accumulate) before = load_vec(out, i, n);
    unrolled<Pack<T>::width>([&](int k) {
      const C value = static_cast<C>(kept.values[k]);
      const C gradient = static_cast<C>(pack.values[k]) * f.derivative(value, value);
      pack.values[k] = static_cast<T>(accumulate ? static_cast<C>(before.values[k]) + gradient : gradient);
    });
    store_vec(out, i, n, pack);
  }
}

template <class F>
void unary_backward(const F& f, const Tensor& grad, const Tensor& saved, const Tensor& out, bool accumulate) {
  visit_floating(out.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const int64_t n = out.numel();
    launch(unary_backward_kernel<T, F>, context.grid(pack_count<T>(n)), context, f, elements<T>(grad),
           elements<T>(saved), elements<T>(out), accumulate, n);
  });
}

template <class List>
void install_unary_list(List list) {
  functor::for_each(list, []<class F>(F) {
    kernel::unary_forward<F>.set(DeviceType::cuda, unary_forward<F>);
    kernel::unary_backward<F>.set(DeviceType::cuda, unary_backward<F>);
  });
}

}  // namespace dnn::cuda
