// The implementations behind the convolution slots: oneDNN and, for few channels, own loops for float32; plain loops
// for float64.
#pragma once

#include "core/kernels/conv.h"

namespace dnn::cpu {

// float32, any layouts; undefined tensors are left out. `add` lies in any layout.
namespace conv_onednn {
// The layout that the output is written in without a change of layout behind it.
detail::Layout output_layout(const kernel::ConvProblem& problem, detail::Layout input);
void forward(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
             const Tensor& add, Activation activation, const Tensor& out);
void backward_data(const kernel::ConvProblem& problem, const Tensor& grad_output, const Tensor& weight,
                   const Tensor& grad_input, bool accumulate);
void backward_weight(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& grad_output,
                     const Tensor& grad_weight, bool accumulate_weight, const Tensor& grad_bias, bool accumulate_bias);

// Number of plans in the cache, for tests.
size_t cached_plans();
}  // namespace conv_onednn

// float32, few channels, no groups; any layouts, but the output plain only where it has one channel. Filled with the
// vectorised kernels of core/cpu/simd.
namespace conv_small {
struct Kernels {
  // out = activation(conv(x, weight) + bias), of none and relu.
  void (*forward)(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  Activation activation, const Tensor& out);
  void (*backward_data)(const kernel::ConvProblem& problem, const Tensor& grad_output, const Tensor& weight,
                        const Tensor& grad_input, bool accumulate);
  void (*backward_weight)(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& grad_output,
                          const Tensor& grad_weight, bool accumulate_weight, const Tensor& grad_bias,
                          bool accumulate_bias);
};
inline constinit Kernels kernels{};
}  // namespace conv_small

// float64, plain layout; written to be read: the tests' reference.
namespace conv_reference {
void forward(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
             const Tensor& out);
void backward_data(const kernel::ConvProblem& problem, const Tensor& grad_output, const Tensor& weight,
                   const Tensor& grad_input, bool accumulate);
void backward_weight(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& grad_output,
                     const Tensor& grad_weight, bool accumulate);
}  // namespace conv_reference

}  // namespace dnn::cpu
