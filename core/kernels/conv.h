// Slots of the convolution.
#pragma once

#include "core/slot.h"
#include "core/storage.h"
#include "dnn/ops/conv.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// A convolution without its tensors: what decides which code runs.
struct ConvProblem {
  Shape input;   // [n, c, h, w]
  Shape weight;  // [k, c / groups, r, s]
  Shape output;  // [n, k, h', w']
  Size2 stride = 1;
  Size2 padding = 0;
  Size2 dilation = 1;
  int64_t groups = 1;
  DType dtype = DType::float32;
  friend bool operator==(const ConvProblem&, const ConvProblem&) = default;
};

// Every output element of a convolution is a sum over a filter; its gradients take as many products.
struct ConvWork {
  template <class... Rest>
  detail::Work operator()(const ConvProblem& p, const Rest&...) const {
    return {.flops = 2 * p.output.numel() * p.weight[1] * p.weight[2] * p.weight[3]};
  }
};

// The layout in which the device writes the output of the problem fastest, given the input's; asked before allocation.
// Empty means plain.
inline constinit Slot<void(const ConvProblem& problem, detail::Layout input, detail::Layout* output)> conv2d_layout{
    "conv2d_layout", SlotKind::question};

// out = conv(x, weight) + bias; bias may be undefined. x and out in any layout, weight and bias plain.
inline constinit Slot<void(const ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                           const Tensor& out)>
    conv2d_forward{"conv2d_forward"};

// out = activation(conv(x, weight) + bias + add), of none and relu; bias and add may be undefined. Fused; may be left
// empty.
inline constinit Slot<void(const ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                           const Tensor& add, Activation activation, const Tensor& out)>
    conv2d_fused{"conv2d_fused"};

// grad_input (in the layout it was allocated with) from grad_output in any layout (+ grad_input when `accumulate`).
inline constinit Slot<void(const ConvProblem& problem, const Tensor& grad_output, const Tensor& weight,
                           const Tensor& grad_input, bool accumulate)>
    conv2d_backward_data{"conv2d_backward_data"};

// grad_weight and, when defined, grad_bias [k], both plain (+ themselves when their flag is set).
inline constinit Slot<void(const ConvProblem& problem, const Tensor& x, const Tensor& grad_output,
                           const Tensor& grad_weight, bool accumulate_weight, const Tensor& grad_bias,
                           bool accumulate_bias)>
    conv2d_backward_weight{"conv2d_backward_weight"};

// out [c] = sum of x [n, c, h, w] over all but the channels (+ out when `accumulate`); x in any layout.
inline constinit Slot<void(const Tensor& x, const Tensor& out, bool accumulate)> channel_sum{"channel_sum"};

template <class Visit>
void visit_conv_slots(Visit&& visit) {
  visit(conv2d_layout), visit(conv2d_forward), visit(conv2d_fused), visit(conv2d_backward_data);
  visit(conv2d_backward_weight), visit(channel_sum);
}

}  // namespace dnn::kernel
