// Cross-entropy of logits [n, classes] and labels [n]: a warp (a block when there are many classes) per row.
//
// A label out of range makes its loss NaN and is noted in the status block; the next wait throws it as IndexError.
#include "core/math.h"
#include "cuda/dispatch.h"
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

__device__ LabelFault pack_fault(int64_t row, int64_t label) {
  const int64_t clamped = label > INT32_MAX ? INT32_MAX : label < INT32_MIN ? INT32_MIN : label;
  return static_cast<LabelFault>(row) << 32 | static_cast<uint32_t>(static_cast<int32_t>(clamped));
}

}  // namespace

template <int lanes, class T>
__global__ void cross_entropy_forward_kernel(const T* logits, LabelView labels, int64_t n, int64_t classes, T* losses,
                                             Compute<T>* log_sums, LabelFault* fault) {
  using C = Compute<T>;
  for (int64_t row = Group<lanes>::first_row(); row < n; row += Group<lanes>::row_step()) {
    const T* x = logits + row * classes;
    const auto [maximum, sum] = exponential_sum<lanes>(x, classes, 1);
    if (Group<lanes>::lane() != 0) continue;
    const int64_t label = labels[row];
    const bool valid = 0 <= label && label < classes;
    const C log_sum = math::log(sum);
    log_sums[row] = maximum + log_sum;
    losses[row] = valid ? static_cast<T>(log_sum - (static_cast<C>(x[label]) - maximum)) : static_cast<T>(C(NAN));
    if (!valid) atomicMin(fault, pack_fault(row, label));
  }
}

void cross_entropy_forward(const Tensor& logits, const Tensor& labels, const Tensor& losses, const Tensor& log_sums) {
  visit_floating(logits.dtype(), [&]<class T>(T) {
    Context& context = Context::of(logits);
    const int64_t n = logits.size(0), classes = logits.size(1);
    if (n == 0) return;
    const int lanes = lanes_for(classes);
    const auto kernel = lanes == 32 ? cross_entropy_forward_kernel<32, T> : cross_entropy_forward_kernel<256, T>;
    LabelFault* fault = context.label_fault(classes);
    launch(kernel, context.grid(n * lanes), context, elements<T>(logits), labels_of(labels), n, classes,
           elements<T>(losses), elements<Compute<T>>(log_sums), fault);
  });
}

template <int lanes, class T>
__global__ void cross_entropy_backward_kernel(const T* grad, bool one_grad, double scale, const T* logits,
                                              LabelView labels, const Compute<T>* log_sums, int64_t n, int64_t classes,
                                              T* out, bool accumulate) {
  using C = Compute<T>;
  for (int64_t row = Group<lanes>::first_row(); row < n; row += Group<lanes>::row_step()) {
    const C factor = static_cast<C>(scale * static_cast<double>(static_cast<C>(grad[one_grad ? 0 : row])));
    const C log_sum = log_sums[row];
    const int64_t label = labels[row];
    const T* x = logits + row * classes;
    map_row<lanes>(out + row * classes, classes, 1, accumulate, x, x, [&](int64_t j, C value, C) {
      return factor * (math::exp(value - log_sum) - (j == label ? C(1) : C(0)));
    });
  }
}

void cross_entropy_backward(const Tensor& grad, double scale, const Tensor& logits, const Tensor& labels,
                            const Tensor& log_sums, const Tensor& out, bool accumulate) {
  visit_floating(logits.dtype(), [&]<class T>(T) {
    Context& context = Context::of(logits);
    const int64_t n = logits.size(0), classes = logits.size(1);
    const int lanes = lanes_for(classes);
    const auto kernel = lanes == 32 ? cross_entropy_backward_kernel<32, T> : cross_entropy_backward_kernel<256, T>;
    launch(kernel, context.grid(n * lanes), context, elements<T>(grad), grad.numel() == 1, scale, elements<T>(logits),
           labels_of(labels), elements<Compute<T>>(log_sums), n, classes, elements<T>(out), accumulate);
  });
}

}  // namespace dnn::cuda
