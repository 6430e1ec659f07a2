// Going over a row of elements with the lanes of a group: 16 bytes at a time where the row is long and its elements are
// neighbours, else element by element.
#pragma once

#include <cmath>

#include "core/math.h"
#include "cuda/reduce.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

template <class T, int lanes>
__device__ inline bool in_packs(int64_t n, int64_t stride) {
  return lanes > 1 && stride == 1 && n >= 32 * Pack<T>::width;
}

// Calls visit(value) for the elements of the row that belong to this lane, in the compute type.
template <int lanes, class T, class Visit>
__device__ void visit_row(const T* row, int64_t n, int64_t stride, const Visit& visit) {
  if (!in_packs<T, lanes>(n, stride)) {
    for (int64_t j = Group<lanes>::lane(); j < n; j += lanes) visit(static_cast<Compute<T>>(row[j * stride]));
    return;
  }
  for (int64_t p = Group<lanes>::lane(); p < pack_count<T>(n); p += lanes) {
    const Pack<T> pack = load_vec(row, p, n);
    for (int k = 0; k < Pack<T>::width; ++k) {
      if (p * Pack<T>::width + k < n) visit(static_cast<Compute<T>>(pack.values[k]));
    }
  }
}

// out[j] = f(j, a[j], b[j]) (+ out[j] when `accumulate`), f being called for j below n alone.
template <int lanes, class T, class F>
__device__ void map_row(T* out, int64_t n, int64_t stride, bool accumulate, const T* a, const T* b, const F& f) {
  using C = Compute<T>;
  if (!in_packs<T, lanes>(n, stride)) {
    for (int64_t j = Group<lanes>::lane(); j < n; j += lanes) {
      const C value = f(j, static_cast<C>(a[j * stride]), static_cast<C>(b[j * stride]));
      out[j * stride] = static_cast<T>(accumulate ? static_cast<C>(out[j * stride]) + value : value);
    }
    return;
  }
  for (int64_t p = Group<lanes>::lane(); p < pack_count<T>(n); p += lanes) {
    Pack<T> left = load_vec(a, p, n);
    const Pack<T> right = load_vec(b, p, n);
    Pack<T> before{};
    if (accumulate) before = load_vec(out, p, n);
    for (int k = 0; k < Pack<T>::width && p * Pack<T>::width + k < n; ++k) {
      const C value = f(p * Pack<T>::width + k, static_cast<C>(left.values[k]), static_cast<C>(right.values[k]));
      left.values[k] = static_cast<T>(accumulate ? static_cast<C>(before.values[k]) + value : value);
    }
    store_vec(out, p, n, left);
  }
}

template <class C>
struct MaxAndSum {
  C maximum;
  C sum;  // of exp(x - maximum)
};

// What softmax needs to know of a row. NaN anywhere makes the sum NaN.
template <int lanes, class T>
__device__ MaxAndSum<Compute<T>> exponential_sum(const T* row, int64_t n, int64_t stride) {
  using C = Compute<T>;
  const C lowest = -static_cast<C>(INFINITY);
  C maximum = lowest, sum = 0;
  visit_row<lanes>(row, n, stride, [&](C x) { maximum = x > maximum ? x : maximum; });
  maximum = Group<lanes>::reduce(maximum, lowest, Max{});
  visit_row<lanes>(row, n, stride, [&](C x) { sum += math::exp(x - maximum); });
  return {maximum, Group<lanes>::reduce(sum, C(0), Sum{})};
}

}  // namespace dnn::cuda
