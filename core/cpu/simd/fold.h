// Folds over the middle of x [outer, n, inner], and their gradients; the loops are those of sums (reduce.h).
#pragma once

#include "core/cpu/simd/reduce.h"
#include "core/folds.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

using kernel::Fold;
using kernel::FoldRule;

template <Fold fold, class T, class Result>
struct FoldOf {
  using Element = T;
  using Sum = Total<T>;
  using Out = Result;

  FoldRule rule;

  Sum neutral() const { return folds::neutral<fold, Sum>(); }
  [[gnu::always_inline]] Sum map(T x) const { return folds::map<fold, Sum>(x, rule); }
  [[gnu::always_inline]] Sum join(Sum a, Sum b) const { return folds::join<fold>(a, b); }
  void store(Out* out, int64_t j, Sum total) const { out[j] = static_cast<Out>(folds::finish<fold>(total, rule)); }
};

inline void reduce_fold(const Tensor& x, const ReduceShape& shape, const FoldRule& rule, const Tensor& out) {
  const auto run = [&]<class T, Fold fold>(Type<T>, std::integral_constant<Fold, fold>) {
    constexpr bool truth = fold == Fold::any || fold == Fold::all;
    using Out = std::conditional_t<truth, bool, std::conditional_t<is_fractional<T>, T, int64_t>>;
    fold_middle(FoldOf<fold, T, Out>{rule}, pointer<T>(x), shape, pointer<Out>(out));
  };
  const auto whole = [&]<class T>(Type<T> type) { folds::visit_whole(rule.fold, [&](auto fold) { run(type, fold); }); };
  if (is_floating(x.dtype())) {
    visit_wide("reduce_fold", x.dtype(),
               [&]<class T>(Type<T> type) { folds::visit_fractional(rule.fold, [&](auto fold) { run(type, fold); }); });
  } else if (x.dtype() == DType::boolean) {
    whole(Type<bool>{});
  } else {
    visit_integers("reduce_fold", x.dtype(), whole);
  }
}

template <Fold fold, class T>
void fold_slopes(const FoldRule& rule, const T* grad, const T* x, const T* result, const T* count, int64_t begin,
                 int64_t end, int64_t n, int64_t inner, T* out) {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t first = row / n * inner, offset = row * inner;
    for (int64_t i = 0; i < inner; ++i) {
      const int64_t of = first + i;
      const T zeros = count == nullptr ? T(0) : count[of];
      out[offset + i] = grad[of] * folds::slope<fold>(x[offset + i], result[of], zeros, rule);
    }
  }
}

// The same for inner == 1, where the row's numbers are the same for all of its elements.
template <Fold fold, class T>
void fold_row_slopes(const FoldRule& rule, T grad, const T* x, T result, T count, int64_t n, T* out) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = grad * folds::slope<fold>(x[i], result, count, rule);
}

inline void reduce_fold_backward(const FoldRule& rule, const Tensor& grad, const Tensor& x, const Tensor& result,
                                 const Tensor& count, const ReduceShape& shape, const Tensor& out) {
  visit_wide("reduce_fold_backward", x.dtype(), [&]<class T>(Type<T>) {
    const T* upstream = pointer<T>(grad);
    const T* from = pointer<T>(x);
    const T* y = pointer<T>(result);
    const T* zeros = count.defined() ? pointer<T>(count) : nullptr;
    T* to = pointer<T>(out);
    const int64_t n = shape.n, inner = shape.inner, work = shape.outer * n * inner;
    folds::visit_fractional(rule.fold, [&]<Fold fold>(std::integral_constant<Fold, fold>) {
      if (inner > 1) {
        parallel(shape.outer * n, work, 1, [=, &rule](int64_t begin, int64_t end) {
          fold_slopes<fold>(rule, upstream, from, y, zeros, begin, end, n, inner, to);
        });
        return;
      }
      if (shape.outer == 1) {
        const T factor = *upstream, whole = *y, none = zeros == nullptr ? T(0) : *zeros;
        parallel_elements(n, [=, &rule](int64_t begin, int64_t end) {
          fold_row_slopes<fold>(rule, factor, from + begin, whole, none, end - begin, to + begin);
        });
        return;
      }
      parallel(shape.outer, work, 1, [=, &rule](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const T none = zeros == nullptr ? T(0) : zeros[row];
          fold_row_slopes<fold>(rule, upstream[row], from + row * n, y[row], none, n, to + row * n);
        }
      });
    });
  });
}

inline void install_fold() {
  kernel::reduce_fold.set(DeviceType::cpu, reduce_fold);
  kernel::reduce_fold_backward.set(DeviceType::cpu, reduce_fold_backward);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
