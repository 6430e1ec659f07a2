// Reading and writing at indices. Elements are moved as words of their size, rows of neighbours in one piece; threads
// share the work so that each element of an output has one of them, and additions keep their order.
#include "core/kernels/index.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/cpu/convert.h"
#include "core/cpu/kernels.h"
#include "core/math.h"
#include "dnn/error.h"

namespace dnn::cpu {
namespace {

using kernel::IndexShape;
using kernel::Scatter;

// Below this many elements a second thread costs more than it saves.
constexpr int64_t parallel_threshold = 32768;

// Indices are checked before anything is written.
const int64_t* checked(const Tensor& index, const IndexShape& shape) {
  const auto* const at = static_cast<const int64_t*>(detail::raw(index));
  const int64_t count = index.numel();
  bool good = true;
  for (int64_t i = 0; i < count; ++i) good &= at[i] >= 0 && at[i] < shape.n;
  for (int64_t i = 0; !good && i < count; ++i)
    if (at[i] < 0 || at[i] >= shape.n)
      throw IndexError(
          fmt::format("{}: index {} at position {}, expected 0 <= index < {}", shape.name, at[i], i, shape.n));
  return at;
}

template <class Visit>
void visit_words(const Tensor& t, const Visit& visit) {
  switch (size_of(t.dtype())) {
    case 1: return visit(uint8_t{});
    case 2: return visit(uint16_t{});
    case 4: return visit(uint32_t{});
    default: return visit(uint64_t{});
  }
}

template <class Word>
void gather_words(const Word* x, const int64_t* index, const IndexShape& s, Word* out) {
#pragma omp parallel for schedule(static) if (s.outer * s.m * s.inner > parallel_threshold)
  for (int64_t row = 0; row < s.outer * s.m; ++row) {
    const Word* const from = x + row / s.m * s.n * s.inner;
    Word* const to = out + row * s.inner;
    if (s.shared) {
      const Word* const source = from + index[row % s.m] * s.inner;
      if (s.inner == 1)
        *to = *source;
      else
        std::memcpy(to, source, static_cast<size_t>(s.inner) * sizeof(Word));
    } else {
      const int64_t* const at = index + row * s.inner;
      for (int64_t i = 0; i < s.inner; ++i) to[i] = from[at[i] * s.inner + i];
    }
  }
}

// combine(element of out, element of source) for every source, in order. A thread has some outer indices, or some
// columns.
template <class T, class Combine>
void scatter_rows(const T* source, const int64_t* index, const IndexShape& s, T* out, const Combine& combine) {
  constexpr int64_t width = 64;
  const int64_t tiles = (s.inner + width - 1) / width;
#pragma omp parallel for schedule(static) if (s.outer * s.m * s.inner > parallel_threshold)
  for (int64_t unit = 0; unit < s.outer * tiles; ++unit) {
    const int64_t outer = unit / tiles, first = unit % tiles * width, count = std::min(width, s.inner - first);
    T* const target = out + outer * s.n * s.inner + first;
    for (int64_t j = 0; j < s.m; ++j) {
      const T* const from = source + (outer * s.m + j) * s.inner + first;
      if (s.shared) {
        T* const to = target + index[j] * s.inner;
        for (int64_t i = 0; i < count; ++i) combine(to[i], from[i]);
      } else {
        const int64_t* const at = index + (outer * s.m + j) * s.inner + first;
        for (int64_t i = 0; i < count; ++i) combine(target[at[i] * s.inner + i], from[i]);
      }
    }
  }
}

template <class T>
void add_rows(const Tensor& source, const int64_t* index, const IndexShape& shape, const Tensor& out) {
  scatter_rows(static_cast<const T*>(detail::raw(source)), index, shape, static_cast<T*>(detail::raw(out)),
               [](T& to, T from) { to = math::add(to, from); });
}

}  // namespace

void gather(const Tensor& x, const Tensor& index, const IndexShape& shape, const Tensor& out) {
  const int64_t* const at = checked(index, shape);
  visit_words(x, [&]<class Word>(Word) {
    gather_words(static_cast<const Word*>(detail::raw(x)), at, shape, static_cast<Word*>(detail::raw(out)));
  });
}

void scatter(const Tensor& source, const Tensor& index, const IndexShape& shape, Scatter how, const Tensor& out) {
  const int64_t* const at = checked(index, shape);
  if (how == Scatter::write)
    return visit_words(out, [&]<class Word>(Word) {
      scatter_rows(static_cast<const Word*>(detail::raw(source)), at, shape, static_cast<Word*>(detail::raw(out)),
                   [](Word& to, Word from) { to = from; });
    });
  switch (out.dtype()) {
    case DType::float64: return add_rows<double>(source, at, shape, out);
    case DType::int64: return add_rows<int64_t>(source, at, shape, out);
    case DType::int32: return add_rows<int32_t>(source, at, shape, out);
    case DType::uint8: return add_rows<uint8_t>(source, at, shape, out);
    case DType::boolean: throw DTypeError("scatter: no cpu kernel for additions of bool");
    default: break;
  }
  const Tensor result = float32_like(out, true);
  add_rows<float>(to_float32(source), at, shape, result);
  round_to(result, out);
}

void nonzero(const Tensor& mask, const Tensor& counts, const Tensor& out) {
  const auto* const set = static_cast<const bool*>(detail::raw(mask));
  const auto* const count = static_cast<const int64_t*>(detail::raw(counts));
  auto* const to = static_cast<int64_t*>(detail::raw(out));
  const Shape& shape = mask.shape();
  const int64_t n = mask.numel(), rank = shape.rank();
#pragma omp parallel for schedule(static) if (n > parallel_threshold)
  for (int64_t i = 0; i < n; ++i) {
    if (!set[i]) continue;
    int64_t* const row = to + (count[i] - 1) * rank;
    for (int64_t d = rank - 1, rest = i; d >= 0; --d) {
      row[d] = rest % shape[d];
      rest /= shape[d];
    }
  }
}

void dynamic_slice(const Tensor& x, const detail::HostNumber& start, const Tensor& out) {
  const int64_t first = start(), most = x.shape()[0] - out.shape()[0];
  if (first < 0 || first > most)
    throw IndexError(fmt::format("dynamic_slice: start {} at position 0, expected 0 <= start < {}", first, most + 1));
  const size_t bytes = static_cast<size_t>(out.numel()) * size_of(out.dtype());
  const size_t row = bytes / static_cast<size_t>(out.shape()[0]);
  std::memcpy(detail::raw(out), static_cast<const std::byte*>(detail::raw(x)) + static_cast<size_t>(first) * row,
              bytes);
}

}  // namespace dnn::cpu
