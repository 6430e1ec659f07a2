// Slots of normalisation and dropout. Activations have one layout throughout a call; per-channel tensors are plain
// and of type float32 (float64 for float64 activations), so that statistics of 16-bit types keep their precision.
#pragma once

#include "core/slot.h"
#include "core/storage.h"
#include "dnn/ops/linear.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// What a batch in training changes: mean and var [c] (either both or none defined) move by `momentum` towards the
// batch's mean and unbiased variance, and one more batch is counted in `batches` (int64 [], may be undefined).
struct RunningStatistics {
  Tensor mean, var, batches;
  double momentum = 0.1;
  template <class Visit>
  void each_tensor(Visit&& visit) const {
    visit(mean), visit(var), visit(batches);
  }
  template <class Visit>
  void each_number(Visit&& visit) const {
    visit(momentum);
  }
};

// Training: x [n, c, h, w] -> out = activation((x - mean) * inv_std * weight + bias + add), mean and inv_std [c] of the
// batch (biased variance) are outputs kept for the backward pass. `add` may be undefined; activation is none or relu.
inline constinit Slot<void(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                           Activation activation, double eps, const RunningStatistics& running, const Tensor& mean,
                           const Tensor& inv_std, const Tensor& out)>
    batch_norm_train{"batch_norm_train"};

// Inference: the same with the running statistics.
inline constinit Slot<void(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                           Activation activation, double eps, const Tensor& running_mean, const Tensor& running_var,
                           const Tensor& out)>
    batch_norm_infer{"batch_norm_infer"};

// What the backward pass writes; undefined tensors are not wanted.
struct BatchNormGradients {
  Tensor input;   // shaped as x
  Tensor weight;  // [c]
  Tensor bias;    // [c]
  Tensor add;     // shaped as x: the gradient behind the activation, written (never accumulated)
  bool accumulate_input = false;
  bool accumulate_weight = false;
  bool accumulate_bias = false;
  template <class Visit>
  void each_tensor(Visit&& visit) const {
    visit(input), visit(weight), visit(bias), visit(add);
  }
};

// `y` is the output, used for the activation's derivative, undefined for none; where nothing was added, `bias` is
// defined, and y follows from x. In training (`training`) mean and inv_std are the batch's and the gradient flows
// through them; in inference they are constants (the running ones).
inline constinit Slot<void(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& weight,
                           const Tensor& bias, const Tensor& mean, const Tensor& inv_std, Activation activation,
                           bool training, const BatchNormGradients& out)>
    batch_norm_backward{"batch_norm_backward"};

// out = x * mask / (1 - p) (+ out when `accumulate`); contiguous, one layout. Element number i keeps its value when
// word i % 4 of philox(seed, stream, i / 4) >= threshold, with threshold = min(2^32 - 1, p * 2^32); p = 1 zeroes all.
// i counts channels innermost ([n, h, w, c]) for rank 4 and row-major otherwise, whatever the layout.
inline constinit Slot<void(const Tensor& x, double p, const detail::Draw& draw, const Tensor& out, bool accumulate)>
    dropout{"dropout"};

// Rows of n neighbours that are normalised each on its own: layer normalisation (a row of features), group and instance
// normalisation (a row of some channels, each of `inner` pixels). Element i of row r has the parameters with number
// (r % groups) * (n / inner) + i / inner.
struct RowNormProblem {
  int64_t rows, n;
  int64_t groups = 1;
  int64_t inner = 1;
};

// out = (x - mean) * inv_std * weight + bias; mean and inv_std [rows] (biased variance) are outputs kept for the
// backward pass. weight and bias may be undefined; all is plain.
inline constinit Slot<void(const RowNormProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                           double eps, const Tensor& mean, const Tensor& inv_std, const Tensor& out)>
    row_norm_forward{"row_norm_forward"};

// What the backward pass writes; undefined tensors are not wanted.
struct RowNormGradients {
  Tensor input, weight, bias;
  bool accumulate_input = false;
  bool accumulate_weight = false;
  bool accumulate_bias = false;
  template <class Visit>
  void each_tensor(Visit&& visit) const {
    visit(input), visit(weight), visit(bias);
  }
};

inline constinit Slot<void(const RowNormProblem& problem, const Tensor& grad, const Tensor& x, const Tensor& weight,
                           const Tensor& mean, const Tensor& inv_std, const RowNormGradients& out)>
    row_norm_backward{"row_norm_backward"};

// x [outer, channels, inner]; the window of channel c reaches from c - before to c + after.
struct ResponseNormProblem {
  int64_t outer, channels, inner;
  int64_t before, after;
  double factor, beta, k;  // factor = alpha / size
};

// What a device wants of a call: the layout of all its images, and whether the divisors are kept for the backward pass.
struct ResponseNormPlan {
  detail::Layout layout = detail::Layout::plain;
  bool keeps_divisor = true;
};

// Asked before anything is allocated, with the problem of plain x; a device that leaves it empty takes the plan above.
// In channels_last `inner` is 1, and `outer` counts the pixels of all images.
inline constinit Slot<void(const ResponseNormProblem& problem, const Tensor& x, ResponseNormPlan* plan)>
    response_norm_plan{"response_norm_plan", SlotKind::question};

// divisor = k + factor * (sum of x^2 over the window), float32 for 16-bit x, undefined when not kept;
// out = x * divisor^-beta.
inline constinit Slot<void(const ResponseNormProblem& problem, const Tensor& x, const Tensor& divisor,
                           const Tensor& out)>
    response_norm_forward{"response_norm_forward"};

// grad_input (+ itself when `accumulate`); y is the output, undefined where the divisor is.
inline constinit Slot<void(const ResponseNormProblem& problem, const Tensor& grad, const Tensor& x, const Tensor& y,
                           const Tensor& divisor, const Tensor& grad_input, bool accumulate)>
    response_norm_backward{"response_norm_backward"};

template <class Visit>
void visit_norm_slots(Visit&& visit) {
  visit(batch_norm_train), visit(batch_norm_infer), visit(batch_norm_backward), visit(dropout);
  visit(row_norm_forward), visit(row_norm_backward);
  visit(response_norm_plan), visit(response_norm_forward), visit(response_norm_backward);
}

}  // namespace dnn::kernel
