// Cross-entropy of logits [n, classes] and labels [n]: a warp (a block when there are many classes) per row.
//
// What a training step takes is one launch, `cross_entropy_reduced`: every block sums up its rows and writes their
// gradient, and the last block adds the sums of all.
//
// A label out of range makes its loss NaN and is noted in the status block; the next wait throws it as IndexError.
#include <algorithm>

#include "core/math.h"
#include "cuda/dispatch.h"
#include "cuda/fault.cuh"
#include "cuda/kernels.h"
#include "cuda/last_block.cuh"
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

// What the lanes of a group find out about a row.
template <class C>
struct RowEntropy {
  int64_t label = 0;
  bool valid = false, ignored = false;
  C maximum = 0, log_sum = 0;
  C weight = 0, loss = 0;  // of a row that counts; the loss of a label out of range is NaN

  __device__ bool counts() const { return valid && !ignored; }
};

template <int lanes, class T>
__device__ RowEntropy<Compute<T>> row_entropy(const T* x, const CrossEntropyView<Compute<T>>& p, int64_t row) {
  using C = Compute<T>;
  const int64_t label = p.labels[row];
  RowEntropy<C> r{.label = label, .valid = 0 <= label && label < p.classes, .ignored = label == p.ignored};
  if (!p.log_probabilities) {
    const auto [top, sum] = exponential_sum<lanes>(x, p.classes, 1);
    r.maximum = top, r.log_sum = math::log(sum);
  }
  C even = 0;
  if (p.smoothing > 0) {
    for (int64_t j = Group<lanes>::lane(); j < p.classes; j += lanes) {
      even += p.weight(j) * (r.log_sum - (static_cast<C>(x[j]) - r.maximum));
    }
    even = Group<lanes>::reduce(even, C(0), Sum{});
  }
  if (r.counts()) {
    r.weight = p.weight(label);
    r.loss = (1 - p.smoothing) * r.weight * (r.log_sum - (static_cast<C>(x[label]) - r.maximum)) + p.spread() * even;
  } else if (!r.ignored) {
    r.loss = static_cast<C>(NAN);
  }
  return r;
}

// out = factor * d loss / dx of a row (+ out when `accumulate`).
template <int lanes, class T, class C>
__device__ void row_gradient(const T* x, const CrossEntropyView<C>& p, const RowEntropy<C>& r, C factor, T* out,
                             bool accumulate) {
  C total = static_cast<C>(p.classes);
  if (p.smoothing > 0 && p.weights != nullptr) {
    total = 0;
    for (int64_t j = Group<lanes>::lane(); j < p.classes; j += lanes) total += p.weights[j];
    total = Group<lanes>::reduce(total, C(0), Sum{});
  }
  const bool counts = r.counts();
  const C sharp = counts ? (1 - p.smoothing) * p.weight(r.label) : C(0);
  const C even = counts ? p.spread() : C(0);
  const C row_weight = sharp + even * total;
  map_row<lanes>(out, p.classes, 1, accumulate, x, x, [&](int64_t j, C value, C) {
    if (!counts) return C(0);
    const C smooth = p.log_probabilities ? C(0) : row_weight * math::exp(value - r.maximum - r.log_sum);
    const C slope = smooth - (j == r.label ? sharp : C(0));
    return factor * (p.smoothing > 0 ? slope - even * p.weight(j) : slope);
  });
}

template <int lanes, class T>
__global__ void cross_entropy_forward_kernel(const T* logits, CrossEntropyView<Compute<T>> p, T* losses,
                                             Compute<T>* row_weights, Compute<T>* log_sums, LabelFault* fault) {
  for (int64_t row = Group<lanes>::first_row(); row < p.n; row += Group<lanes>::row_step()) {
    const auto r = row_entropy<lanes>(logits + row * p.classes, p, row);
    if (Group<lanes>::lane() != 0) continue;
    log_sums[2 * row] = r.maximum, log_sums[2 * row + 1] = r.log_sum;
    losses[row] = static_cast<T>(r.loss);
    if (row_weights != nullptr) row_weights[row] = r.weight;
    if (!r.valid && !r.ignored) note_fault(fault, row, r.label);
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

// Whether the first largest element of the row is the label's; NaN counts as largest.
template <int lanes, class T>
__device__ bool is_hit(const T* x, int64_t classes, int64_t label) {
  using C = Compute<T>;
  const C mine = static_cast<C>(x[label]);
  int beaten = 0;
  for (int64_t j = Group<lanes>::lane(); j < classes; j += lanes) {
    const C other = static_cast<C>(x[j]);
    const bool larger = mine != mine ? false : !(other <= mine), equal = mine != mine ? other != other : other == mine;
    beaten |= larger || (equal && j < label);
  }
  return Group<lanes>::reduce(beaten, 0, Max{}) == 0;
}

struct LossAndHits {
  double loss = 0, hits = 0;
  __device__ friend LossAndHits operator+(const LossAndHits& a, const LossAndHits& b) {
    return {a.loss + b.loss, a.hits + b.hits};
  }
};

// loss = scale * the sum over all rows, sums = that sum and the hits; gradient and log_sums, unless they are null, as
// the two kernels beside this one write them. `partials` has room for every block.
template <int lanes, class T>
__global__ void cross_entropy_reduced_kernel(const T* logits, CrossEntropyView<Compute<T>> p, double scale, T* loss,
                                             double* sums, T* gradient, Compute<T>* log_sums, LabelFault* fault,
                                             LossAndHits* partials, unsigned* ticket) {
  using C = Compute<T>;
  const bool leads = Group<lanes>::lane() == 0;
  LossAndHits total;
  for (int64_t row = Group<lanes>::first_row(); row < p.n; row += Group<lanes>::row_step()) {
    const T* x = logits + row * p.classes;
    const auto r = row_entropy<lanes>(x, p, row);
    const bool hit = sums != nullptr && r.counts() && is_hit<lanes>(x, p.classes, r.label);
    if (gradient != nullptr) row_gradient<lanes>(x, p, r, static_cast<C>(scale), gradient + row * p.classes, false);
    if (!leads) continue;
    total = total + LossAndHits{static_cast<double>(r.loss), hit ? 1.0 : 0.0};
    if (log_sums != nullptr) log_sums[2 * row] = r.maximum, log_sums[2 * row + 1] = r.log_sum;
    if (!r.valid && !r.ignored) note_fault(fault, row, r.label);
  }
  total = block_reduce(total, LossAndHits{}, Sum{});
  if (threadIdx.x == 0) partials[blockIdx.x] = total;
  if (!is_last_block(ticket, gridDim.x)) return;
  total = LossAndHits{};
  for (unsigned i = threadIdx.x; i < gridDim.x; i += blockDim.x) total = total + partials[i];
  total = block_reduce(total, LossAndHits{}, Sum{});
  if (threadIdx.x != 0) return;
  *loss = static_cast<T>(static_cast<C>(scale * total.loss));
  if (sums != nullptr) sums[0] = total.loss, sums[1] = total.hits;
}

void cross_entropy_reduced(const Tensor& logits, const Tensor& labels, const kernel::CrossEntropyRule& rule,
                           double scale, const kernel::CrossEntropyTotals& out) {
  visit_floating(logits.dtype(), [&]<class T>(T) {
    using C = Compute<T>;
    Context& context = Context::of(logits);
    const CrossEntropyView<C> p = view<C>(logits, labels, rule);
    const int lanes = lanes_for(p.classes);
    const auto kernel = lanes == 32 ? cross_entropy_reduced_kernel<32, T> : cross_entropy_reduced_kernel<256, T>;
    Grid grid = context.grid(p.n * lanes);
    grid.blocks = std::max(grid.blocks, 1u);  // the sum of no losses is 0
    const Scratch partials(context, grid.blocks * static_cast<int64_t>(sizeof(LossAndHits)));
    LabelFault* fault = context.label_fault(p.classes);
    launch(kernel, grid, context, elements<T>(logits), p, scale, elements<T>(out.loss), elements<double>(out.sums),
           elements<T>(out.gradient), elements<C>(out.log_sums), fault, partials.as<LossAndHits>(), context.tickets());
  });
}

template <int lanes, class T>
__global__ void cross_entropy_backward_kernel(const T* grad, bool one_grad, double scale, const T* logits,
                                              CrossEntropyView<Compute<T>> p, const Compute<T>* log_sums, T* out,
                                              bool accumulate) {
  using C = Compute<T>;
  for (int64_t row = Group<lanes>::first_row(); row < p.n; row += Group<lanes>::row_step()) {
    const int64_t label = p.labels[row], first = row * p.classes;
    const RowEntropy<C> r{.label = label,
                          .valid = 0 <= label && label < p.classes,
                          .ignored = label == p.ignored,
                          .maximum = log_sums[2 * row],
                          .log_sum = log_sums[2 * row + 1]};
    const C factor = static_cast<C>(scale * static_cast<double>(static_cast<C>(grad[one_grad ? 0 : row])));
    row_gradient<lanes>(logits + first, p, r, factor, out + first, accumulate);
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
