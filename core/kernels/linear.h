// Slots of the matrix products.
#pragma once

#include "core/slot.h"
#include "dnn/ops/linear.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

struct GemmWork {
  detail::Work operator()(const Tensor& a, bool transpose_a, const Tensor&, bool, const Tensor& out, bool) const {
    return {.flops = 2 * out.numel() * a.size(transpose_a ? 0 : 1)};
  }
};

// out [m, n] = op(a) op(b) (+ out when `accumulate`); op transposes when its flag is set: a is [m, k] or [k, m], b is
// [k, n] or [n, k]. All contiguous, plain, floating, of one type. k = 0 gives zeros (or leaves out).
inline constinit Slot<void(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& out,
                           bool accumulate)>
    gemm{"gemm"};

// How the matrices of a stack lie: `step` elements apart (0: one matrix for all), their rows `row` elements apart; or
// their columns, when they are `transposed`.
struct BatchedOperand {
  int64_t step = 0;
  int64_t row = 0;
  bool transposed = false;
};

struct BatchedGemm {
  int64_t batch, m, n, k;
  BatchedOperand a, b;
};

struct BatchedGemmWork {
  template <class... Rest>
  detail::Work operator()(const BatchedGemm& p, const Rest&...) const {
    return {.flops = 2 * p.batch * p.m * p.n * p.k};
  }
};

// out [..., m, n] = a [..., m, k] b [..., k, n] (+ out when `accumulate`) for each matrix of a batch. a and b have
// these shapes and begin where their tensors do, plain, floating, of one type; out is contiguous. k = 0 gives zeros (or
// leaves out).
inline constinit Slot<void(const BatchedGemm& problem, const Tensor& a, const Tensor& b, const Tensor& out,
                           bool accumulate)>
    gemm_batched{"gemm_batched"};

struct LinearWork {
  template <class... Rest>
  detail::Work operator()(const Tensor& x, const Tensor& weight, const Rest&...) const {
    return {.flops = 2 * x.numel() * weight.size(0)};
  }
};

// out [m, n] = activation(x [m, k] weight [n, k]^T + bias [n] + add [m, n]); bias and add may be undefined. `before`
// [m, n], unless undefined, receives the activation's argument; it is asked for with gelu_tanh alone. Fused; may be
// left empty.
inline constinit Slot<void(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                           Activation activation, const Tensor& out, const Tensor& before)>
    linear_fused{"linear_fused"};

struct LinearInputWork {
  template <class... Rest>
  detail::Work operator()(const Tensor& grad, const Tensor& weight, const Rest&...) const {
    return {.flops = 2 * grad.numel() * weight.size(1)};
  }
};

struct LinearBackwardWork {
  template <class... Rest>
  detail::Work operator()(const Tensor& grad, const Tensor& x, const Rest&...) const {
    return {.flops = 2 * grad.numel() * x.size(1)};
  }
};

// grad_weight [n, k] = grad [m, n]^T x [m, k] and grad_bias [n] = the sum of grad's rows, each (+ itself when its
// `accumulate`). Fused; may be left empty.
inline constinit Slot<void(const Tensor& grad, const Tensor& x, const Tensor& grad_weight, bool accumulate,
                           const Tensor& grad_bias, bool accumulate_bias)>
    linear_backward_weight{"linear_backward_weight"};

// out [m, n] = relu(x weight^T + bias), and `mask` (uint8 [m, mask_bytes(n)]) = for the next slot of the same device,
// where an element was positive. Not `done`, nothing has happened: the device cannot. Fused; may be left empty.
inline constinit Slot<void(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& out,
                           const Tensor& mask, bool* done)>
    linear_relu{"linear_relu"};
inline constexpr int64_t mask_bytes(int64_t n) { return (n + 127) / 128 * 16; }

// The gradient of a linear layer's input, through the ReLU in front of it and into the bias before that: out [m, k] =
// grad [m, n] weight [n, k], 0 where the mask of a `linear_relu` says so, and grad_bias [k] = the sum of out's rows.
// Not `done`: as above. Fused; may be left empty.
inline constinit Slot<void(const Tensor& grad, const Tensor& weight, const Tensor& mask, const Tensor& out,
                           const Tensor& grad_bias, bool* done)>
    linear_backward_relu{"linear_backward_relu"};

template <class Visit>
void visit_linear_slots(Visit&& visit) {
  visit(gemm), visit(gemm_batched), visit(linear_fused), visit(linear_backward_weight);
  visit(linear_relu), visit(linear_backward_relu);
}

}  // namespace dnn::kernel
