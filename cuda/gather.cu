// Reading and writing at indices. Reading is a thread per element of the result.
//
// Writing must not depend on the order of threads: the indices of each row are first sorted together with the positions
// of their sources (sort.cuh), so that the sources of one target are neighbours, in their order. The thread of the
// first of them adds all up; where elements are written, the last one counts.
#include "core/math.h"
#include "cuda/dispatch.h"
#include "cuda/fault.cuh"
#include "cuda/graph.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/sort.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

// Where things lie in x [outer, n, inner] and the index.
struct IndexView {
  const int64_t* index;
  int64_t outer, n, m, inner;
  bool shared;

  // The number in the index of element (outer, j, inner).
  __device__ int64_t place(int64_t o, int64_t j, int64_t i) const { return shared ? j : (o * m + j) * inner + i; }
};

namespace {

IndexView view_of(const Tensor& index, const kernel::IndexShape& s) {
  return {elements<int64_t>(index), s.outer, s.n, s.m, s.inner, s.shared};
}

// Calls visit with an unsigned integer of the size of an element.
template <class Visit>
void visit_words(const Tensor& t, Visit&& visit) {
  switch (size_of(t.dtype())) {
    case 1: return visit(uint8_t{});
    case 2: return visit(uint16_t{});
    case 4: return visit(uint32_t{});
    default: return visit(uint64_t{});
  }
}

}  // namespace

template <class Word>
__global__ void gather_kernel(const Word* x, IndexView v, Word* out, LabelFault* fault) {
  for (const auto e : grid_stride(v.outer * v.m * v.inner)) {
    const int64_t i = e % v.inner, j = e / v.inner % v.m, o = e / v.inner / v.m;
    const int64_t place = v.place(o, j, i), at = v.index[place];
    const bool good = 0 <= at && at < v.n;
    if (!good) note_fault(fault, place, at);
    out[e] = good ? x[(o * v.n + at) * v.inner + i] : Word(0);
  }
}

void gather(const Tensor& x, const Tensor& index, const kernel::IndexShape& shape, const Tensor& out) {
  visit_words(x, [&]<class Word>(Word) {
    Context& context = Context::of(out);
    launch(gather_kernel<Word>, context.grid(out.numel()), context, elements<Word>(x), view_of(index, shape),
           elements<Word>(out), context.label_fault(shape.n, shape.name, "index"));
  });
}

// The entries of the rows of an index: its numbers as keys; a bad one is noted and goes to the end.
__global__ void index_entries_kernel(IndexView v, int64_t rows, int64_t padded, SortEntry* entries, LabelFault* fault) {
  for (const auto e : grid_stride(rows * padded)) {
    const int64_t row = e / padded, j = e % padded;
    SortEntry entry = SortEntry::padding(j);
    if (j < v.m) {
      const int64_t place = v.shared ? j : (row / v.inner * v.m + j) * v.inner + row % v.inner, at = v.index[place];
      if (0 <= at && at < v.n)
        entry.key = static_cast<uint64_t>(at);
      else
        note_fault(fault, place, at);
    }
    entries[e] = entry;
  }
}

// A thread per element of the source, in the order of the entries; `adds`, else writes.
template <class T>
__global__ void scatter_kernel(const T* source, IndexView v, const SortEntry* entries, int64_t padded, bool adds,
                               T* out) {
  for (const auto e : grid_stride(v.outer * v.m * v.inner)) {
    const int64_t i = e % v.inner, j = e / v.inner % v.m, o = e / v.inner / v.m;
    const SortEntry* row = entries + (v.shared ? 0 : (o * v.inner + i) * padded);
    const uint64_t target = row[j].key;
    if (target >= static_cast<uint64_t>(v.n)) continue;
    T* const to = out + (o * v.n + static_cast<int64_t>(target)) * v.inner + i;
    const auto value = [&](int64_t k) { return source[(o * v.m + row[k].position) * v.inner + i]; };
    if (!adds) {
      if (j + 1 == v.m || row[j + 1].key != target) *to = value(j);
      continue;
    }
    if (j > 0 && row[j - 1].key == target) continue;
    using C = Compute<T>;
    C sum = static_cast<C>(*to);
    for (int64_t k = j; k < v.m && row[k].key == target; ++k) sum = math::add(sum, static_cast<C>(value(k)));
    *to = static_cast<T>(sum);
  }
}

void scatter(const Tensor& source, const Tensor& index, const kernel::IndexShape& shape, kernel::Scatter how,
             const Tensor& out) {
  Context& context = Context::of(out);
  const IndexView v = view_of(index, shape);
  const int64_t rows = shape.shared ? 1 : shape.outer * shape.inner, padded = padded_row(shape.m);
  const Scratch scratch(context, rows * padded * static_cast<int64_t>(sizeof(SortEntry)));
  auto* entries = scratch.as<SortEntry>();
  launch(index_entries_kernel, context.grid(rows * padded), context, v, rows, padded, entries,
         context.label_fault(shape.n, shape.name, "index"));
  sort_entries(context, entries, rows, padded);
  const auto run = [&]<class T>(T) {
    launch(scatter_kernel<T>, context.grid(source.numel()), context, elements<T>(source), v, entries, padded,
           how == kernel::Scatter::add, elements<T>(out));
  };
  if (how == kernel::Scatter::write) return visit_words(out, run);
  visit_numbers(out.dtype(), run);
}

// The sizes of a mask.
struct MaskShape {
  int rank;
  int64_t sizes[Shape::max_rank];
};

__global__ void nonzero_kernel(const bool* mask, const int64_t* counts, MaskShape shape, int64_t n, int64_t* out) {
  for (const auto i : grid_stride(n)) {
    if (!mask[i]) continue;
    int64_t* row = out + (counts[i] - 1) * shape.rank;
    int64_t rest = i;
    unrolled<Shape::max_rank>([&](int k) {
      const int d = Shape::max_rank - 1 - k;
      if (d >= shape.rank) return;
      row[d] = rest % shape.sizes[d];
      rest /= shape.sizes[d];
    });
  }
}

void nonzero(const Tensor& mask, const Tensor& counts, const Tensor& out) {
  Context& context = Context::of(out);
  MaskShape shape{mask.rank(), {}};
  for (int d = 0; d < mask.rank(); ++d) shape.sizes[d] = mask.shape()[d];
  launch(nonzero_kernel, context.grid(mask.numel()), context, elements<bool>(mask), elements<int64_t>(counts), shape,
         mask.numel(), elements<int64_t>(out));
}

// Out of a start that is not there come zeros.
template <class T>
__global__ void dynamic_slice_kernel(Varying<int64_t> start, const T* x, int64_t most, int64_t row, int64_t n, T* out,
                                     LabelFault* fault) {
  const int64_t first = start();
  const bool good = first >= 0 && first <= most;
  for (const auto i : grid_stride(n)) {
    if (!good && i == 0) note_fault(fault, 0, first);
    out[i] = good ? x[first * row + i] : T(0);
  }
}

void dynamic_slice(const Tensor& x, const detail::HostNumber& start, const Tensor& out) {
  Context& context = Context::of(out);
  const int64_t n = out.numel(), most = x.shape()[0] - out.shape()[0];
  visit_words(x, [&]<class T>(T) {
    launch(dynamic_slice_kernel<T>, context.grid(n), context, varying(context, true, start), elements<T>(x), most,
           n / out.shape()[0], n, elements<T>(out), context.label_fault(most + 1, "dynamic_slice", "start"));
  });
}

}  // namespace dnn::cuda
