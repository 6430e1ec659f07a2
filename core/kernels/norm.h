// Slots of batch normalisation and dropout. Activations have one layout throughout a call; per-channel tensors are plain
// and of type float32 (float64 for float64 activations), so that statistics of 16-bit types keep their precision.
#pragma once

#include "core/slot.h"
#include "dnn/ops/linear.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// Training: x [n, c, h, w] -> out = activation((x - mean) * inv_std * weight + bias + add), mean and inv_std [c] of the
// batch (biased variance) are outputs kept for the backward pass; running_mean and running_var (either both or none
// defined) move by `momentum` towards the batch's mean and unbiased variance. `add` may be undefined.
inline constinit Slot<void(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                           Activation activation, double momentum, double eps, const Tensor& running_mean,
                           const Tensor& running_var, const Tensor& mean, const Tensor& inv_std, const Tensor& out)>
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
};

// `y` is the output, used for the activation's derivative, undefined for none. In training (`training`) mean and inv_std
// are the batch's and the gradient flows through them; in inference they are constants (the running ones).
inline constinit Slot<void(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& weight,
                           const Tensor& mean, const Tensor& inv_std, Activation activation, bool training,
                           const BatchNormGradients& out)>
    batch_norm_backward{"batch_norm_backward"};

// out = x * mask / (1 - p) (+ out when `accumulate`); contiguous, one layout. Element number i keeps its value when word
// i % 4 of philox(seed, stream, i / 4) >= threshold, with threshold = min(2^32 - 1, p * 2^32); p = 1 zeroes all.
// i counts channels innermost ([n, h, w, c]) for rank 4 and row-major otherwise, whatever the layout.
inline constinit Slot<void(const Tensor& x, double p, uint64_t seed, uint64_t stream, const Tensor& out,
                           bool accumulate)>
    dropout{"dropout"};

template <class Visit>
void visit_norm_slots(Visit&& visit) {
  visit(batch_norm_train), visit(batch_norm_infer), visit(batch_norm_backward), visit(dropout);
}

}  // namespace dnn::kernel
