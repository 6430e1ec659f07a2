// Slots of a convolution with max pooling behind it, for networks so small that launches are what they cost.
#pragma once

#include "core/kernels/conv.h"
#include "core/kernels/pool.h"

namespace dnn::kernel {

// max_pool(activation(conv(x, weight) + bias)).
struct ConvPoolProblem {
  ConvProblem conv;
  Activation activation = Activation::none;
  PoolProblem pool;
};

struct ConvPoolWork {
  template <class... Rest>
  detail::Work operator()(const ConvPoolProblem& p, const Rest&...) const {
    return ConvWork{}(p.conv);
  }
};

// Whether the device has kernels for the problem; asked before all others. Fused, as they are; may be left empty.
inline constinit Slot<void(const ConvPoolProblem& problem, bool* fits)> conv2d_pool_fits{"conv2d_pool_fits",
                                                                                         SlotKind::question};

// out as the pooling has it. `winners` (uint8, shaped as out; undefined: not wanted) says what the way back needs to
// know of each element, to the same device alone. All plain; bias may be undefined.
inline constinit Slot<void(const ConvPoolProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                           const Tensor& out, const Tensor& winners)>
    conv2d_pool_forward{"conv2d_pool_forward"};

// grad_input (+ itself when `accumulate`) from the gradient of out.
inline constinit Slot<void(const ConvPoolProblem& problem, const Tensor& grad_output, const Tensor& winners,
                           const Tensor& weight, const Tensor& grad_input, bool accumulate)>
    conv2d_pool_backward_data{"conv2d_pool_backward_data"};

// grad_weight and grad_bias [k] (+ themselves when their flag is set); one of them may be undefined.
inline constinit Slot<void(const ConvPoolProblem& problem, const Tensor& x, const Tensor& grad_output,
                           const Tensor& winners, const Tensor& grad_weight, bool accumulate_weight,
                           const Tensor& grad_bias, bool accumulate_bias)>
    conv2d_pool_backward_weight{"conv2d_pool_backward_weight"};

template <class Visit>
void visit_conv_pool_slots(Visit&& visit) {
  visit(conv2d_pool_fits), visit(conv2d_pool_forward), visit(conv2d_pool_backward_data);
  visit(conv2d_pool_backward_weight);
}

}  // namespace dnn::kernel
