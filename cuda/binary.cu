// Element-wise operations of two tensors: every functor of functor::Binary, forward and backward.
//
// Two forms: where no operand is broadcast or strided, threads work in packs of 16 bytes and layouts do not matter;
// otherwise each thread computes one element, and the offsets of its operands from the element's number.
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/vector.cuh"

namespace dnn::cuda {

template <class T, class F>
__global__ void binary_forward_kernel(F f, const T* a, const T* b, T* out, int64_t n) {
  using C = Compute<T>;
  for (const auto i : grid_stride(pack_count<T>(n))) {
    Pack<T> left = load_vec(a, i, n);
    const Pack<T> right = load_vec(b, i, n);
    unrolled<Pack<T>::width>([&](int k) {
      left.values[k] = static_cast<T>(f.forward(static_cast<C>(left.values[k]), static_cast<C>(right.values[k])));
    });
    store_vec(out, i, n, left);
  }
}

template <class T, class F>
__global__ void binary_forward_strided_kernel(F f, const T* a, const T* b, Walk<2> walk, T* out, int64_t n) {
  using C = Compute<T>;
  for (const auto i : grid_stride(n)) {
    const auto at = walk.offsets(i);
    out[i] = static_cast<T>(f.forward(static_cast<C>(a[at[0]]), static_cast<C>(b[at[1]])));
  }
}

template <class F>
void binary_forward(const F& f, const Tensor& a, const Tensor& b, const Tensor& out) {
  const auto run = [&]<class T>(T) {
    Context& context = Context::of(out);
    const int64_t n = out.numel();
    if (a.is_contiguous() && b.is_contiguous()) {
      launch(binary_forward_kernel<T, F>, context.grid(pack_count<T>(n)), context, f, elements<T>(a), elements<T>(b),
             elements<T>(out), n);
    } else {
      launch(binary_forward_strided_kernel<T, F>, context.grid(n), context, f, elements<T>(a), elements<T>(b),
             make_walk<2>(out.shape(), {&a.strides(), &b.strides()}), elements<T>(out), n);
    }
  };
  if constexpr (F::floating_only)
    visit_floating(out.dtype(), run);
  else
    visit_numbers(out.dtype(), run);
}

// grad * df/da or grad * df/db.
template <class C, class F>
__device__ C binary_gradient(const F& f, int operand, C grad, C a, C b) {
  return grad * (operand == 0 ? f.derivative_a(a, b, C(0)) : f.derivative_b(a, b, C(0)));
}

// a and b are null for functors that save nothing.
template <class T, class F>
__global__ void binary_backward_kernel(F f, int operand, const T* grad, const T* a, const T* b, T* out, bool accumulate,
                                       int64_t n) {
  using C = Compute<T>;
  for (const auto i : grid_stride(pack_count<T>(n))) {
    Pack<T> pack = load_vec(grad, i, n);
    Pack<T> left{}, right{}, before{};
    if constexpr (F::saves != functor::Saves::nothing) left = load_vec(a, i, n), right = load_vec(b, i, n);
    if (accumulate) before = load_vec(out, i, n);
    unrolled<Pack<T>::width>([&](int k) {
      const C gradient = binary_gradient(f, operand, static_cast<C>(pack.values[k]), static_cast<C>(left.values[k]),
                                         static_cast<C>(right.values[k]));
      pack.values[k] = static_cast<T>(accumulate ? static_cast<C>(before.values[k]) + gradient : gradient);
    });
    store_vec(out, i, n, pack);
  }
}

template <class T, class F>
__global__ void binary_backward_strided_kernel(F f, int operand, const T* grad, const T* a, const T* b, Walk<2> walk,
                                               T* out, bool accumulate, int64_t n) {
  using C = Compute<T>;
  for (const auto i : grid_stride(n)) {
    const auto at = walk.offsets(i);
    const C gradient =
        binary_gradient(f, operand, static_cast<C>(grad[i]), static_cast<C>(a[at[0]]), static_cast<C>(b[at[1]]));
    out[i] = static_cast<T>(accumulate ? static_cast<C>(out[i]) + gradient : gradient);
  }
}

template <class F>
void binary_backward(const F& f, int operand, const Tensor& grad, const Tensor& a, const Tensor& b, const Tensor& out,
                     bool accumulate) {
  visit_floating(out.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const int64_t n = out.numel();
    if constexpr (F::saves != functor::Saves::nothing) {
      if (!a.is_contiguous() || !b.is_contiguous()) {
        launch(binary_backward_strided_kernel<T, F>, context.grid(n), context, f, operand, elements<T>(grad),
               elements<T>(a), elements<T>(b), make_walk<2>(out.shape(), {&a.strides(), &b.strides()}),
               elements<T>(out), accumulate, n);
        return;
      }
    }
    launch(binary_backward_kernel<T, F>, context.grid(pack_count<T>(n)), context, f, operand, elements<T>(grad),
           elements<T>(a), elements<T>(b), elements<T>(out), accumulate, n);
  });
}

void install_binary() {
  functor::for_each(functor::Binary{}, []<class F>(F) {
    kernel::binary_forward<F>.set(DeviceType::cuda, binary_forward<F>);
    kernel::binary_backward<F>.set(DeviceType::cuda, binary_backward<F>);
  });
}

}  // namespace dnn::cuda
