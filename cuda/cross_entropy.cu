// Cross-entropy of logits [n, classes] and labels [n]: a warp (a block when there are many classes) per row.
//
// A label out of range makes its loss NaN and is noted in the status block; the next wait throws it as IndexError.
#include "core/math.h"
#include "cuda/dispatch.h"
#include "cuda/fault.cuh"
#include "cuda/kernels.h"
#include "cuda/rows.cuh"

namespace dnn::cuda {

// Labels of int64 or int32.
struct LabelView {
  const void* data;
  bool wide;
  __device__ int64_t operator[](int64_t i) const {
    return wide ? static_cast<const int64_t*>(data)[i] : static_cast<const int32_t*>(data)[i];
  }
};

namespace {

LabelView labels_of(const Tensor& labels) { return {detail::raw(labels), labels.dtype() == DType::int64}; }

}  // namespace

// The problem as the kernels see it.
template <class C>
struct CrossEntropyView {
  LabelView labels;
  const C* weights;  // or nullptr
  C smoothing;
  int64_t ignored;
  bool log_probabilities;
  int64_t n, classes;
  __device__ C weight(int64_t j) const { return weights == nullptr ? C(1) : weights[j]; }
  __device__ C spread() const { return smoothing / static_cast<C>(classes); }
};

template <class C>
CrossEntropyView<C> view(const Tensor& logits, const Tensor& labels, const kernel::CrossEntropyRule& rule) {
  return {.labels = labels_of(labels),
          .weights = rule.weights.defined() ? elements<C>(rule.weights) : nullptr,
          .smoothing = static_cast<C>(rule.smoothing),
          .ignored = rule.ignored,
          .log_probabilities = rule.log_probabilities,
          .n = logits.size(0),
          .classes = logits.size(1)};
}

template <int lanes, class T>
__global__ void cross_entropy_forward_kernel(const T* logits, CrossEntropyView<Compute<T>> p, T* losses,
                                             Compute<T>* row_weights, Compute<T>* log_sums, LabelFault* fault) {
  using C = Compute<T>;
  for (int64_t row = Group<lanes>::first_row(); row < p.n; row += Group<lanes>::row_step()) {
    const T* x = logits + row * p.classes;
    C maximum = 0, log_sum = 0;
    if (!p.log_probabilities) {
      const auto [top, sum] = exponential_sum<lanes>(x, p.classes, 1);
      maximum = top, log_sum = math::log(sum);
    }
    C even = 0;
    if (p.smoothing > 0) {
      for (int64_t j = Group<lanes>::lane(); j < p.classes; j += lanes) {
        even += p.weight(j) * (log_sum - (static_cast<C>(x[j]) - maximum));
      }
      even = Group<lanes>::reduce(even, C(0), Sum{});
    }
    if (Group<lanes>::lane() != 0) continue;
    const int64_t label = p.labels[row];
    const bool ignored = label == p.ignored, valid = 0 <= label && label < p.classes;
    const C weight = valid && !ignored ? p.weight(label) : C(0);
    const C loss =
        ignored ? C(0)
        : valid ? (1 - p.smoothing) * weight * (log_sum - (static_cast<C>(x[label]) - maximum)) + p.spread() * even
                : static_cast<C>(NAN);
    log_sums[2 * row] = maximum, log_sums[2 * row + 1] = log_sum;
    losses[row] = static_cast<T>(loss);
    if (row_weights != nullptr) row_weights[row] = weight;
    if (!valid && !ignored) note_fault(fault, row, label);
  }
}

void cross_entropy_forward(const Tensor& logits, const Tensor& labels, const kernel::CrossEntropyRule& rule,
                           const Tensor& losses, const Tensor& row_weights, const Tensor& log_sums) {
  visit_floating(logits.dtype(), [&]<class T>(T) {
    using C = Compute<T>;
    Context& context = Context::of(logits);
    const CrossEntropyView<C> p = view<C>(logits, labels, rule);
    if (p.n == 0) return;
    const int lanes = lanes_for(p.classes);
    const auto kernel = lanes == 32 ? cross_entropy_forward_kernel<32, T> : cross_entropy_forward_kernel<256, T>;
    C* row_weight = row_weights.defined() ? elements<C>(row_weights) : nullptr;
    LabelFault* fault = context.label_fault(p.classes);
    launch(kernel, context.grid(p.n * lanes), context, elements<T>(logits), p, elements<T>(losses), row_weight,
           elements<C>(log_sums), fault);
  });
}

template <int lanes, class T>
__global__ void cross_entropy_backward_kernel(const T* grad, bool one_grad, double scale, const T* logits,
                                              CrossEntropyView<Compute<T>> p, const Compute<T>* log_sums, T* out,
                                              bool accumulate) {
  using C = Compute<T>;
  for (int64_t row = Group<lanes>::first_row(); row < p.n; row += Group<lanes>::row_step()) {
    const int64_t label = p.labels[row];
    C total = static_cast<C>(p.classes);
    if (p.smoothing > 0 && p.weights != nullptr) {
      total = 0;
      for (int64_t j = Group<lanes>::lane(); j < p.classes; j += lanes) total += p.weights[j];
      total = Group<lanes>::reduce(total, C(0), Sum{});
    }
    const bool counts = label != p.ignored && 0 <= label && label < p.classes;
    const C sharp = counts ? (1 - p.smoothing) * p.weight(label) : C(0);
    const C even = counts ? p.spread() : C(0);
    const C row_weight = p.log_probabilities ? C(0) : sharp + even * total;
    const C factor = static_cast<C>(scale * static_cast<double>(static_cast<C>(grad[one_grad ? 0 : row])));
    const C maximum = log_sums[2 * row], log_sum = log_sums[2 * row + 1];
    const T* x = logits + row * p.classes;
    map_row<lanes>(out + row * p.classes, p.classes, 1, accumulate, x, x, [&](int64_t j, C value, C) {
      if (!counts) return C(0);
      const C slope = row_weight * math::exp(value - maximum - log_sum) - (j == label ? sharp : C(0));
      return factor * (p.smoothing > 0 ? slope - even * p.weight(j) : slope);
    });
  }
}

void cross_entropy_backward(const Tensor& grad, double scale, const Tensor& logits, const Tensor& labels,
                            const kernel::CrossEntropyRule& rule, const Tensor& log_sums, const Tensor& out,
                            bool accumulate) {
  visit_floating(logits.dtype(), [&]<class T>(T) {
    using C = Compute<T>;
    Context& context = Context::of(logits);
    const CrossEntropyView<C> p = view<C>(logits, labels, rule);
    const int lanes = lanes_for(p.classes);
    const auto kernel = lanes == 32 ? cross_entropy_backward_kernel<32, T> : cross_entropy_backward_kernel<256, T>;
    launch(kernel, context.grid(p.n * lanes), context, elements<T>(grad), grad.numel() == 1, scale, elements<T>(logits),
           p, elements<C>(log_sums), elements<T>(out), accumulate);
  });
}

}  // namespace dnn::cuda
