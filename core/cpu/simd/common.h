// What the kernels share: types by DType, the type to compute in, the split of a loop over threads.
//
// A kernel reads raw pointers out of its tensors, picks the element type with one of the visit functions, and calls
// `parallel`, whose body runs a plain loop under `#pragma omp simd`. The pragma promises that iterations do not depend
// on each other; an output may be the very array of an input (in-place), never a shifted one.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

#include <cstdint>
#include <type_traits>

#include "core/cpu/simd/simd.h"
#include "core/math.h"
#include "core/storage.h"
#include "dnn/tensor.h"

#ifndef DNN_SIMD_VARIANT
#error "compiled by the sources of this folder only, one variant each"
#endif

namespace dnn::cpu::DNN_SIMD_VARIANT {

// Element types that are stored in 16 bits are computed in float and rounded once.
template <class T>
inline constexpr bool is_16bit = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;
template <class T>
using Compute = std::conditional_t<is_16bit<T>, float, T>;

template <class T>
inline constexpr bool is_fractional = is_16bit<T> || std::is_floating_point_v<T>;

template <class T>
struct Type {
  using type = T;
};

[[gnu::always_inline]] inline bool has_16bit(const Tensor& t) {
  const DType dtype = t.dtype();
  return dtype == DType::float16 || dtype == DType::bfloat16;
}

// For kernels that handle 16-bit types in by_float.cpp.
template <class Visit>
[[gnu::always_inline]] inline void visit_wide(const char* name, DType dtype, const Visit& visit) {
  switch (dtype) {
    case DType::float64: return visit(Type<double>{});
    case DType::float32: return visit(Type<float>{});
    default: throw_no_kernel(name, dtype);
  }
}

template <class Visit>
[[gnu::always_inline]] inline void visit_floating(const char* name, DType dtype, const Visit& visit) {
  switch (dtype) {
    case DType::float16: return visit(Type<float16>{});
    case DType::bfloat16: return visit(Type<bfloat16>{});
    default: return visit_wide(name, dtype, visit);
  }
}

template <class Visit>
[[gnu::always_inline]] inline void visit_integers(const char* name, DType dtype, const Visit& visit) {
  switch (dtype) {
    case DType::int64: return visit(Type<int64_t>{});
    case DType::int32: return visit(Type<int32_t>{});
    case DType::uint8: return visit(Type<uint8_t>{});
    default: throw_no_kernel(name, dtype);
  }
}

// Every type but bool.
template <class Visit>
[[gnu::always_inline]] inline void visit_numbers(const char* name, DType dtype, const Visit& visit) {
  if (is_floating(dtype)) return visit_floating(name, dtype, visit);
  visit_integers(name, dtype, visit);
}

template <class Visit>
[[gnu::always_inline]] inline void visit_all(const char* name, DType dtype, const Visit& visit) {
  if (dtype == DType::boolean) return visit(Type<bool>{});
  visit_numbers(name, dtype, visit);
}

// Element access. The 16-bit types are structs, which g++ only vectorises by way of their bits.
template <class T>
[[gnu::always_inline]] inline void assign(T& to, const T& from) {
  if constexpr (is_16bit<T>) {
    to.bits = from.bits;
  } else {
    to = from;
  }
}

template <class T>
[[gnu::always_inline]] inline Compute<T> load(const T* p, int64_t i) {
  T element;
  assign(element, p[i]);
  return static_cast<Compute<T>>(element);
}

template <class T>
[[gnu::always_inline]] inline void store(T* p, int64_t i, Compute<T> value) {
  assign(p[i], static_cast<T>(value));
}

// p[i] = value, or + value.
template <bool accumulate, class T>
[[gnu::always_inline]] inline void put(T* p, int64_t i, Compute<T> value) {
  if constexpr (accumulate) value = load(p, i) + value;
  store(p, i, value);
}

template <class T>
[[gnu::always_inline]] inline T* pointer(const Tensor& t) {
  return static_cast<T*>(detail::raw(t));
}

[[gnu::always_inline]] inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
[[gnu::always_inline]] inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Below this many elements a second thread costs more than it saves.
inline constexpr int64_t parallel_threshold = 32768;

[[gnu::always_inline]] inline int64_t thread_count() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

template <class Body>
[[gnu::noinline]] void run_part(const Body& body, int64_t begin, int64_t end) {
  body(begin, end);
}

// Calls body(begin, end) for parts of [0, n), one for each thread, that start at multiples of `unit`. `work` is the
// number of elements behind all of it. The bodies must not throw, and their results not depend on the partition.
template <class Body>
[[gnu::always_inline]] inline void parallel(int64_t n, [[maybe_unused]] int64_t work, [[maybe_unused]] int64_t unit,
                                            const Body& body) {
#ifdef _OPENMP
  if (work >= parallel_threshold && n > unit && omp_get_max_threads() > 1) {
#pragma omp parallel
    {
      const int64_t part = ceil_div(ceil_div(n, unit), omp_get_num_threads()) * unit;
      const int64_t begin = omp_get_thread_num() * part;
      if (begin < n) run_part(body, begin, smaller(begin + part, n));
    }
    return;
  }
#endif
  if (n > 0) run_part(body, 0, n);
}

// The same for one loop over elements; 64 of them fill at least a cache line.
template <class Body>
[[gnu::always_inline]] inline void parallel_elements(int64_t n, const Body& body) {
  parallel(n, n, 64, body);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
