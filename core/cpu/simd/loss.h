// Cross-entropy of logits [n, classes] and labels [n]: softmax and logarithm in one pass, row by row.
//
// The loss is log(sum(exp(x - top))) - (x[label] - top), not a difference of two large numbers. Labels are checked
// before anything is written. 16-bit types are converted to float32 and back (by_float.cpp).
#pragma once

#include "core/cpu/simd/softmax.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

template <class Visit>
[[gnu::always_inline]] inline void visit_labels(const Tensor& labels, const Visit& visit) {
  switch (labels.dtype()) {
    case DType::int64: return visit(Type<int64_t>{});
    case DType::int32: return visit(Type<int32_t>{});
    default: throw_no_kernel("cross_entropy", labels.dtype());
  }
}

template <class T, class Label>
void cross_entropy_rows(const T* logits, const Label* labels, int64_t classes, int64_t begin, int64_t end, T* losses,
                        T* log_sums) {
  for (int64_t i = begin; i < end; ++i) {
    const T* x = logits + i * classes;
    const T top = largest(x, classes);
    const T log_sum = math::log(sum_of<T>(classes, [&](int64_t j) { return math::exp(x[j] - top); }));
    losses[i] = log_sum - (x[labels[i]] - top);
    log_sums[i] = top + log_sum;
  }
}

inline void cross_entropy_forward(const Tensor& logits, const Tensor& labels, const Tensor& losses,
                                  const Tensor& log_sums) {
  if (has_16bit(logits)) return cross_entropy_forward_by_float(logits, labels, losses, log_sums);
  visit_wide("cross_entropy", logits.dtype(), [&]<class T>(Type<T>) {
    visit_labels(labels, [&]<class Label>(Type<Label>) {
      const T* x = pointer<T>(logits);
      const Label* label = pointer<Label>(labels);
      T* loss = pointer<T>(losses);
      T* log_sum = pointer<T>(log_sums);
      const int64_t n = logits.shape()[0], classes = logits.shape()[1];
      for (int64_t i = 0; i < n; ++i) {
        if (label[i] < 0 || label[i] >= classes) throw_bad_label(label[i], i, classes);
      }
      parallel(n, exp_work * n * classes, 1,
               [=](int64_t begin, int64_t end) { cross_entropy_rows(x, label, classes, begin, end, loss, log_sum); });
    });
  });
}

template <bool accumulate, class T>
void cross_entropy_slopes(const T* x, int64_t begin, int64_t end, T log_sum, T scale, T* out) {
#pragma omp simd
  for (int64_t j = begin; j < end; ++j) put<accumulate>(out, j, scale * math::exp(x[j] - log_sum));
}

template <bool accumulate, class T, class Label>
void cross_entropy_backward_rows(const T* grad, bool one_grad, double scale, const T* logits, const Label* labels,
                                 const T* log_sums, int64_t classes, int64_t begin, int64_t end, T* out) {
  for (int64_t i = begin; i < end; ++i) {
    const T* x = logits + i * classes;
    T* to = out + i * classes;
    const T g = static_cast<T>(scale * static_cast<double>(grad[one_grad ? 0 : i]));
    const int64_t label = labels[i];
    const T probability = math::exp(x[label] - log_sums[i]);
    cross_entropy_slopes<accumulate>(x, 0, label, log_sums[i], g, to);
    put<accumulate>(to, label, g * (probability - T(1)));
    cross_entropy_slopes<accumulate>(x, label + 1, classes, log_sums[i], g, to);
  }
}

inline void cross_entropy_backward(const Tensor& grad, double scale, const Tensor& logits, const Tensor& labels,
                                   const Tensor& log_sums, const Tensor& out, bool accumulate) {
  if (has_16bit(logits)) {
    return cross_entropy_backward_by_float(grad, scale, logits, labels, log_sums, out, accumulate);
  }
  visit_wide("cross_entropy", logits.dtype(), [&]<class T>(Type<T>) {
    visit_labels(labels, [&]<class Label>(Type<Label>) {
      const T* upstream = pointer<T>(grad);
      const T* x = pointer<T>(logits);
      const Label* label = pointer<Label>(labels);
      const T* log_sum = pointer<T>(log_sums);
      T* to = pointer<T>(out);
      const int64_t n = logits.shape()[0], classes = logits.shape()[1];
      const bool one_grad = grad.numel() == 1;
      parallel(n, exp_work * n * classes, 1, [=](int64_t begin, int64_t end) {
        if (accumulate) {
          cross_entropy_backward_rows<true>(upstream, one_grad, scale, x, label, log_sum, classes, begin, end, to);
        } else {
          cross_entropy_backward_rows<false>(upstream, one_grad, scale, x, label, log_sum, classes, begin, end, to);
        }
      });
    });
  });
}

inline void install_loss() {
  kernel::cross_entropy_forward.set(DeviceType::cpu, cross_entropy_forward);
  kernel::cross_entropy_backward.set(DeviceType::cpu, cross_entropy_backward);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
