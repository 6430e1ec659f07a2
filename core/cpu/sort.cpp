// Order and running sums along rows. A row is sorted as pairs of value and position, whose comparison makes equal
// values keep their order; only the first k are, where that is less work.
#include "core/kernels/sort.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "core/cpu/convert.h"
#include "core/cpu/kernels.h"
#include "core/cpu/onednn.h"
#include "core/math.h"

namespace dnn::cpu {
namespace {

constexpr int64_t parallel_threshold = 4096;

template <class T>
struct Entry {
  T value;
  int64_t position;
};

// NaN is larger than every number.
template <bool descending, class T>
bool before(const Entry<T>& a, const Entry<T>& b) {
  if constexpr (std::is_floating_point_v<T>) {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan != b_nan) return a_nan == descending;
  }
  if (a.value < b.value) return !descending;
  if (b.value < a.value) return descending;
  return a.position < b.position;
}

template <bool descending, class T>
void sort_row(const T* x, int64_t n, int64_t k, std::vector<Entry<T>>& entries, T* values, int64_t* indices) {
  for (int64_t i = 0; i < n; ++i) entries[static_cast<size_t>(i)] = {x[i], i};
  const auto begin = entries.begin(), end = begin + n, middle = begin + k;
  if (k < n) std::nth_element(begin, middle, end, before<descending, T>);
  std::sort(begin, middle, before<descending, T>);
  for (int64_t i = 0; i < k; ++i) {
    values[i] = entries[static_cast<size_t>(i)].value;
    indices[i] = entries[static_cast<size_t>(i)].position;
  }
}

template <class T>
void sort_rows(const Tensor& x, bool descending, const Tensor& values, const Tensor& indices) {
  const int64_t rows = x.shape()[0], n = x.shape()[1], k = values.shape()[1];
  const auto* const from = static_cast<const T*>(detail::raw(x));
  auto* const to = static_cast<T*>(detail::raw(values));
  auto* const positions = static_cast<int64_t*>(detail::raw(indices));
  const auto sort = descending ? sort_row<true, T> : sort_row<false, T>;
  // Made before the threads start: out of memory must not be thrown inside of them.
  const int64_t parts = rows * n > parallel_threshold ? std::min<int64_t>(rows, onednn::threads()) : 1;
  std::vector<std::vector<Entry<T>>> entries(static_cast<size_t>(parts));
  for (auto& own : entries) own.resize(static_cast<size_t>(n));
#pragma omp parallel for schedule(static) if (parts > 1)
  for (int64_t part = 0; part < parts; ++part) {
    auto& own = entries[static_cast<size_t>(part)];
    for (int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row)
      sort(from + row * n, n, k, own, to + row * k, positions + row * k);
  }
}

template <class T, class Total, class Out>
void sum_along(const Tensor& x, const kernel::ReduceShape& s, bool reverse, const Tensor& out, bool accumulate) {
  const auto* const from = static_cast<const T*>(detail::raw(x));
  auto* const to = static_cast<Out*>(detail::raw(out));
  constexpr int64_t width = 64;
  const int64_t tiles = (s.inner + width - 1) / width;
#pragma omp parallel for schedule(static) if (s.outer * s.n * s.inner > parallel_threshold)
  for (int64_t unit = 0; unit < s.outer * tiles; ++unit) {
    const int64_t first = unit % tiles * width, count = std::min(width, s.inner - first);
    Total totals[width] = {};
    for (int64_t j = 0; j < s.n; ++j) {
      const int64_t offset = (unit / tiles * s.n + (reverse ? s.n - 1 - j : j)) * s.inner + first;
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) {
        totals[i] = math::add(totals[i], static_cast<Total>(from[offset + i]));
        const Out sum = static_cast<Out>(totals[i]);
        to[offset + i] = accumulate ? math::add(to[offset + i], sum) : sum;
      }
    }
  }
}

}  // namespace

void sort(const Tensor& x, bool descending, const Tensor& values, const Tensor& indices) {
  switch (x.dtype()) {
    case DType::float64: return sort_rows<double>(x, descending, values, indices);
    case DType::int64: return sort_rows<int64_t>(x, descending, values, indices);
    case DType::int32: return sort_rows<int32_t>(x, descending, values, indices);
    case DType::uint8:
    case DType::boolean: return sort_rows<uint8_t>(x, descending, values, indices);
    default: break;
  }
  const Tensor result = float32_like(values);
  sort_rows<float>(to_float32(x), descending, result, indices);
  round_to(result, values);
}

void cumsum(const Tensor& x, const kernel::ReduceShape& shape, bool reverse, const Tensor& out, bool accumulate) {
  switch (x.dtype()) {
    case DType::float64: return sum_along<double, double, double>(x, shape, reverse, out, accumulate);
    case DType::int64: return sum_along<int64_t, int64_t, int64_t>(x, shape, reverse, out, accumulate);
    case DType::int32: return sum_along<int32_t, int64_t, int64_t>(x, shape, reverse, out, accumulate);
    case DType::uint8:
    case DType::boolean: return sum_along<uint8_t, int64_t, int64_t>(x, shape, reverse, out, accumulate);
    default: break;
  }
  const Tensor result = float32_like(out, accumulate);
  sum_along<float, double, float>(to_float32(x), shape, reverse, result, accumulate);
  round_to(result, out);
}

}  // namespace dnn::cpu
