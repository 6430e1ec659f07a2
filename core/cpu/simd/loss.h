// Cross-entropy of logits [n, classes] and labels [n]: softmax and logarithm in one pass, row by row.
//
// The loss is log(sum(exp(x - top))) - (x[label] - top), not a difference of two large numbers, and the gradient comes
// from the same two parts; where it is asked for together with the loss, the exponentials are computed once for both.
// Labels are checked before anything is written. 16-bit types are converted to float32 and back (by_float.cpp).
#pragma once

#include "core/cpu/simd/softmax.h"
#include "core/kernels/loss.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

using kernel::CrossEntropyRule;

template <class Visit>
[[gnu::always_inline]] inline void visit_labels(const Tensor& labels, const Visit& visit) {
  switch (labels.dtype()) {
    case DType::int64: return visit(Type<int64_t>{});
    case DType::int32: return visit(Type<int32_t>{});
    default: throw_no_kernel("cross_entropy", labels.dtype());
  }
}

// The problem as the loops see it.
template <class T, class Label>
struct CrossEntropy {
  const T* logits;
  const Label* labels;
  const T* weights;  // or nullptr
  T total_weight;    // of all classes
  T smoothing;
  int64_t ignored;
  bool log_probabilities;
  int64_t n, classes;

  CrossEntropy(const Tensor& x, const Tensor& targets, const CrossEntropyRule& rule)
      : logits(pointer<T>(x)),
        labels(pointer<Label>(targets)),
        weights(rule.weights.defined() ? pointer<T>(rule.weights) : nullptr),
        total_weight(static_cast<T>(x.shape()[1])),
        smoothing(static_cast<T>(rule.smoothing)),
        ignored(rule.ignored),
        log_probabilities(rule.log_probabilities),
        n(x.shape()[0]),
        classes(x.shape()[1]) {
    if (weights != nullptr) total_weight = sum_of<T>(classes, [&](int64_t j) { return weights[j]; });
  }
  bool is_ignored(int64_t row) const { return labels[row] == ignored; }
  T weight(int64_t j) const { return weights == nullptr ? T(1) : weights[j]; }
  T spread() const { return smoothing / static_cast<T>(classes); }
  // Of a row that counts, from what is kept of it.
  T loss(int64_t row, T top, T log_sum) const {
    const T* x = logits + row * classes;
    const T sharp = (1 - smoothing) * weight(labels[row]) * (log_sum - (x[labels[row]] - top));
    if (smoothing <= 0) return sharp;
    return sharp + spread() * sum_of<T>(classes, [&](int64_t j) { return weight(j) * (log_sum - (x[j] - top)); });
  }
  void check_labels() const {
    for (int64_t i = 0; i < n; ++i)
      if ((labels[i] < 0 || labels[i] >= classes) && !is_ignored(i)) throw_bad_label(labels[i], i, classes);
  }
};

template <class T, class Label>
void cross_entropy_rows(const CrossEntropy<T, Label>& p, int64_t begin, int64_t end, T* losses, T* row_weights,
                        T* log_sums) {
  for (int64_t i = begin; i < end; ++i) {
    const T* x = p.logits + i * p.classes;
    T top = 0, log_sum = 0;
    if (!p.log_probabilities) {
      top = largest(x, p.classes);
      log_sum = math::log(sum_of<T>(p.classes, [&](int64_t j) { return math::exp(x[j] - top); }));
    }
    log_sums[2 * i] = top, log_sums[2 * i + 1] = log_sum;
    const T weight = p.is_ignored(i) ? T(0) : p.weight(p.labels[i]);
    if (row_weights != nullptr) row_weights[i] = weight;
    losses[i] = p.is_ignored(i) ? T(0) : p.loss(i, top, log_sum);
  }
}

inline void cross_entropy_forward(const Tensor& logits, const Tensor& labels, const CrossEntropyRule& rule,
                                  const Tensor& losses, const Tensor& row_weights, const Tensor& log_sums) {
  if (has_16bit(logits)) return cross_entropy_forward_by_float(logits, labels, rule, losses, row_weights, log_sums);
  visit_wide("cross_entropy", logits.dtype(), [&]<class T>(Type<T>) {
    visit_labels(labels, [&]<class Label>(Type<Label>) {
      const CrossEntropy<T, Label> p(logits, labels, rule);
      p.check_labels();
      T* loss = pointer<T>(losses);
      T* row_weight = row_weights.defined() ? pointer<T>(row_weights) : nullptr;
      T* log_sum = pointer<T>(log_sums);
      parallel(p.n, exp_work * p.n * p.classes, 1,
               [=, &p](int64_t begin, int64_t end) { cross_entropy_rows(p, begin, end, loss, row_weight, log_sum); });
    });
  });
}

// Whether the first largest element is the one at `position`; NaN counts as largest.
template <class T>
bool is_largest(const T* x, int64_t n, int64_t position) {
  const T value = x[position];
  int yes = 1;
  if (value != value) {
    for (int64_t j = 0; j < position; ++j) yes &= x[j] == x[j];
    return yes != 0;
  }
#pragma omp simd reduction(& : yes)
  for (int64_t j = 0; j < position; ++j) yes &= x[j] < value;
#pragma omp simd reduction(& : yes)
  for (int64_t j = position + 1; j < n; ++j) yes &= x[j] <= value;
  return yes != 0;
}

// The gradient of a row that counts, where its exponentials and their sum stand already.
template <class T, class Label>
void cross_entropy_gradient(const CrossEntropy<T, Label>& p, int64_t row, T scale, T sum, T* out) {
  const int64_t label = p.labels[row];
  const T sharp = (1 - p.smoothing) * p.weight(label);
  const T row_weight = p.log_probabilities ? T(0) : sharp + p.spread() * p.total_weight;
  const T factor = scale * row_weight / sum, at_label = scale * (row_weight * (out[label] / sum) - sharp);
#pragma omp simd
  for (int64_t j = 0; j < p.classes; ++j) out[j] *= factor;
  out[label] = at_label;
  if (p.smoothing <= 0) return;
  const T even = scale * p.spread();
  for (int64_t j = 0; j < p.classes; ++j) out[j] -= even * p.weight(j);
}

// Adds the losses of some rows to totals[0] and their hits to totals[1]; writes the gradient and what is kept of the
// rows, unless they are null.
template <class T, class Label>
void cross_entropy_total(const CrossEntropy<T, Label>& p, int64_t begin, int64_t end, T scale, bool count_hits,
                         double* totals, T* gradient, T* log_sums) {
  for (int64_t i = begin; i < end; ++i) {
    const T* x = p.logits + i * p.classes;
    T* to = gradient == nullptr ? nullptr : gradient + i * p.classes;
    T top = 0, sum = 1;
    if (!p.log_probabilities) {
      top = largest(x, p.classes);
      const auto exponential = [&](int64_t j) { return math::exp(x[j] - top); };
      sum = to == nullptr ? sum_of<T>(p.classes, exponential)
                          : sum_of<T>(p.classes, [&](int64_t j) { return to[j] = exponential(j); });
    }
    const T log_sum = p.log_probabilities ? T(0) : math::log(sum);
    if (log_sums != nullptr) log_sums[2 * i] = top, log_sums[2 * i + 1] = log_sum;
    const bool counts = !p.is_ignored(i);
    if (counts) totals[0] += static_cast<double>(p.loss(i, top, log_sum));
    if (count_hits && counts && is_largest(x, p.classes, p.labels[i])) totals[1] += 1;
    if (to == nullptr) continue;
    if (!counts || p.log_probabilities)
      for (int64_t j = 0; j < p.classes; ++j) to[j] = 0;
    if (counts) cross_entropy_gradient(p, i, scale, sum, to);
  }
}

// Parts of a number of rows that the classes alone decide are summed up by themselves, so that results do not depend on
// the threads.
inline int64_t rows_together(int64_t classes) { return smaller(64, 4096 / classes + 1); }

inline void cross_entropy_reduced(const Tensor& logits, const Tensor& labels, const CrossEntropyRule& rule,
                                  double scale, const kernel::CrossEntropyTotals& out) {
  if (has_16bit(logits)) return cross_entropy_reduced_by_float(logits, labels, rule, scale, out);
  visit_wide("cross_entropy", logits.dtype(), [&]<class T>(Type<T>) {
    visit_labels(labels, [&]<class Label>(Type<Label>) {
      const CrossEntropy<T, Label> p(logits, labels, rule);
      p.check_labels();
      T* gradient = out.gradient.defined() ? pointer<T>(out.gradient) : nullptr;
      T* log_sums = out.log_sums.defined() ? pointer<T>(out.log_sums) : nullptr;
      const bool count_hits = out.sums.defined();
      const int64_t rows = rows_together(p.classes), parts = ceil_div(p.n, rows);
      const Scratch<double> scratch(2 * parts);
      double* totals = scratch.data();
      const T factor = static_cast<T>(scale);
      parallel(parts, exp_work * p.n * p.classes, 1, [=, &p](int64_t begin, int64_t end) {
        for (int64_t part = begin; part < end; ++part)
          cross_entropy_total(p, part * rows, smaller((part + 1) * rows, p.n), factor, count_hits, totals + 2 * part,
                              gradient, log_sums);
      });
      double loss = 0, hits = 0;
      for (int64_t part = 0; part < parts; ++part) loss += totals[2 * part], hits += totals[2 * part + 1];
      *pointer<T>(out.loss) = static_cast<T>(scale * loss);
      if (count_hits) pointer<double>(out.sums)[0] = loss, pointer<double>(out.sums)[1] = hits;
    });
  });
}

// out[j] = scale * row_weight * softmax(x)[j].
template <bool accumulate, class T>
void cross_entropy_slopes(const T* x, int64_t begin, int64_t end, T top, T log_sum, T scale, T row_weight, T* out) {
#pragma omp simd
  for (int64_t j = begin; j < end; ++j) put<accumulate>(out, j, scale * row_weight * math::exp(x[j] - top - log_sum));
}

template <bool accumulate, class T, class Label>
void cross_entropy_backward_rows(const CrossEntropy<T, Label>& p, const T* grad, bool one_grad, double scale,
                                 const T* log_sums, int64_t begin, int64_t end, T* out) {
  for (int64_t i = begin; i < end; ++i) {
    const T* x = p.logits + i * p.classes;
    T* to = out + i * p.classes;
    if (p.is_ignored(i)) {
      for (int64_t j = 0; j < p.classes && !accumulate; ++j) to[j] = 0;
      continue;
    }
    const T g = static_cast<T>(scale * static_cast<double>(grad[one_grad ? 0 : i]));
    const int64_t label = p.labels[i];
    const T sharp = (1 - p.smoothing) * p.weight(label);
    if (p.log_probabilities) {
      for (int64_t j = 0; j < p.classes && !accumulate; ++j) to[j] = 0;
      to[label] -= g * sharp;
    } else {
      const T top = log_sums[2 * i], log_sum = log_sums[2 * i + 1];
      const T row_weight = sharp + p.spread() * p.total_weight;
      const T at_label = g * (row_weight * math::exp(x[label] - top - log_sum) - sharp);
      cross_entropy_slopes<accumulate>(x, 0, label, top, log_sum, g, row_weight, to);
      put<accumulate>(to, label, at_label);
      cross_entropy_slopes<accumulate>(x, label + 1, p.classes, top, log_sum, g, row_weight, to);
    }
    if (p.smoothing > 0) {
      const T even = g * p.spread();
      for (int64_t j = 0; j < p.classes; ++j) to[j] -= even * p.weight(j);
    }
  }
}

inline void cross_entropy_backward(const Tensor& grad, double scale, const Tensor& logits, const Tensor& labels,
                                   const CrossEntropyRule& rule, const Tensor& log_sums, const Tensor& out,
                                   bool accumulate) {
  if (has_16bit(logits)) {
    return cross_entropy_backward_by_float(grad, scale, logits, labels, rule, log_sums, out, accumulate);
  }
  visit_wide("cross_entropy", logits.dtype(), [&]<class T>(Type<T>) {
    visit_labels(labels, [&]<class Label>(Type<Label>) {
      const CrossEntropy<T, Label> p(logits, labels, rule);
      const T* upstream = pointer<T>(grad);
      const T* log_sum = pointer<T>(log_sums);
      T* to = pointer<T>(out);
      const bool one_grad = grad.numel() == 1;
      parallel(p.n, exp_work * p.n * p.classes, 1, [=, &p](int64_t begin, int64_t end) {
        if (accumulate)
          cross_entropy_backward_rows<true>(p, upstream, one_grad, scale, log_sum, begin, end, to);
        else
          cross_entropy_backward_rows<false>(p, upstream, one_grad, scale, log_sum, begin, end, to);
      });
    });
  });
}

inline void install_loss() {
  kernel::cross_entropy_forward.set(DeviceType::cpu, cross_entropy_forward);
  kernel::cross_entropy_reduced.set(DeviceType::cpu, cross_entropy_reduced);
  kernel::cross_entropy_backward.set(DeviceType::cpu, cross_entropy_backward);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
