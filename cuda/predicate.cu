// The predicates, whose result is bool whatever the operands are, and `where`, which moves elements by their size
// alone: each thread computes one element, and the offsets of its operands from the element's number.
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/vector.cuh"

namespace dnn::cuda {

template <class T, class F>
__global__ void unary_predicate_kernel(F f, const T* x, bool* out, int64_t n) {
  for (const auto i : grid_stride(n)) out[i] = f.test(static_cast<Compute<T>>(x[i]));
}

template <class F>
void unary_predicate(const F& f, const Tensor& x, const Tensor& out) {
  visit_all(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const int64_t n = out.numel();
    launch(unary_predicate_kernel<T, F>, context.grid(n), context, f, elements<T>(x), elements<bool>(out), n);
  });
}

template <class T, class F>
__global__ void binary_predicate_kernel(F f, const T* a, const T* b, Walk<2> walk, bool* out, int64_t n) {
  using C = Compute<T>;
  for (const auto i : grid_stride(n)) {
    const auto at = walk.offsets(i);
    out[i] = f.test(static_cast<C>(a[at[0]]), static_cast<C>(b[at[1]]));
  }
}

template <class F>
void binary_predicate(const F& f, const Tensor& a, const Tensor& b, const Tensor& out) {
  visit_all(a.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const int64_t n = out.numel();
    launch(binary_predicate_kernel<T, F>, context.grid(n), context, f, elements<T>(a), elements<T>(b),
           make_walk<2>(out.shape(), {&a.strides(), &b.strides()}), elements<bool>(out), n);
  });
}

template <class T>
__global__ void where_kernel(const bool* condition, const T* a, const T* b, Walk<3> walk, T* out, int64_t n) {
  for (const auto i : grid_stride(n)) {
    const auto at = walk.offsets(i);
    out[i] = condition[at[0]] ? a[at[1]] : b[at[2]];
  }
}

void where(const Tensor& condition, const Tensor& a, const Tensor& b, const Tensor& out) {
  const auto run = [&]<class T>(T) {
    Context& context = Context::of(out);
    const int64_t n = out.numel();
    launch(where_kernel<T>, context.grid(n), context, elements<bool>(condition), elements<T>(a), elements<T>(b),
           make_walk<3>(out.shape(), {&condition.strides(), &a.strides(), &b.strides()}), elements<T>(out), n);
  };
  switch (size_of(out.dtype())) {
    case 1: return run(uint8_t{});
    case 2: return run(uint16_t{});
    case 4: return run(uint32_t{});
    default: return run(uint64_t{});
  }
}

void install_predicates() {
  functor::for_each(functor::UnaryPredicates{},
                    []<class F>(F) { kernel::unary_predicate<F>.set(DeviceType::cuda, unary_predicate<F>); });
  functor::for_each(functor::BinaryPredicates{},
                    []<class F>(F) { kernel::binary_predicate<F>.set(DeviceType::cuda, binary_predicate<F>); });
}

}  // namespace dnn::cuda
