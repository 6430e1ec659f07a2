// Filling, and copies that convert between element types and gather or scatter by strides.
//
// Contiguous tensors move in packs of 16 bytes: a thread reads as many packs of one type, and writes as many of the
// other, as hold the same number of elements. Otherwise each thread copies single elements, whose places in both
// tensors follow from the element's number.
#include <algorithm>

#include "cuda/convert.cuh"
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"

namespace dnn::cuda {

template <class T>
__global__ void fill_kernel(T value, T* out, int64_t n) {
  Pack<T> pack;
  for (T& v : pack.values) v = value;
  for (const auto i : grid_stride(pack_count<T>(n))) store_vec(out, i, n, pack);
}

template <class T>
__global__ void fill_strided_kernel(T value, T* out, Walk<1> walk, int64_t n) {
  for (const auto i : grid_stride(n)) out[walk.offsets(i)[0]] = value;
}

void fill(const Tensor& out, Scalar value) {
  visit_all(out.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    const int64_t n = out.numel();
    const T element = value.is_floating() ? convert<T>(value.to_double()) : convert<T>(value.to_int64());
    if (out.is_contiguous()) {
      launch(fill_kernel<T>, context.grid(pack_count<T>(n)), context, element, elements<T>(out), n);
    } else {
      launch(fill_strided_kernel<T>, context.grid(n), context, element, elements<T>(out),
             make_walk<1>(out.shape(), {&out.strides()}), n);
    }
  });
}

template <class From, class To>
inline constexpr int convert_width = Pack<From>::width > Pack<To>::width ? Pack<From>::width : Pack<To>::width;

template <class From, class To>
__global__ void convert_kernel(const From* in, To* out, int64_t n) {
  constexpr int width = convert_width<From, To>;
  constexpr int loads = width / Pack<From>::width, stores = width / Pack<To>::width;
  for (const auto i : grid_stride((n + width - 1) / width)) {
    Pack<To> results[stores];
    for (int p = 0; p < loads; ++p) {
      const Pack<From> pack = load_vec(in, i * loads + p, n);
      for (int k = 0; k < Pack<From>::width; ++k) {
        const int element = p * Pack<From>::width + k;
        results[element / Pack<To>::width].values[element % Pack<To>::width] = convert<To>(pack.values[k]);
      }
    }
    for (int p = 0; p < stores; ++p) store_vec(out, i * stores + p, n, results[p]);
  }
}

template <class From, class To>
__global__ void copy_strided_kernel(const From* in, To* out, Walk<2> walk, int64_t n) {
  for (const auto i : grid_stride(n)) {
    const auto at = walk.offsets(i);
    out[at[1]] = convert<To>(in[at[0]]);
  }
}

void copy(const Tensor& in, const Tensor& out) {
  Context& context = Context::of(out);
  const int64_t n = out.numel();
  const bool contiguous = in.is_contiguous() && out.is_contiguous();
  if (n == 0) return;
  if (contiguous && in.dtype() == out.dtype()) {
    context.copy(detail::raw(out), detail::raw(in), n * static_cast<int64_t>(size_of(out.dtype())));
    return;
  }
  visit_all(in.dtype(), [&]<class From>(From) {
    visit_all(out.dtype(), [&]<class To>(To) {
      if (contiguous) {
        constexpr int width = convert_width<From, To>;
        launch(convert_kernel<From, To>, context.grid((n + width - 1) / width), context, elements<From>(in),
               elements<To>(out), n);
      } else {
        launch(copy_strided_kernel<From, To>, context.grid(n), context, elements<From>(in), elements<To>(out),
               make_walk<2>(out.shape(), {&in.strides(), &out.strides()}), n);
      }
    });
  });
}

}  // namespace dnn::cuda
