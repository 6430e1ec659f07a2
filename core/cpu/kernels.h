// The CPU kernels that fill the slots, except those of core/cpu/simd; what each computes stands at its slot.
#pragma once

#include "core/kernels/conv.h"
#include "core/kernels/norm.h"
#include "core/kernels/pool.h"

namespace dnn::cpu {

void conv2d_layout(const kernel::ConvProblem& problem, detail::Layout input, detail::Layout* output);
void conv2d_forward(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                    const Tensor& out);
void conv2d_fused(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& add, Activation activation, const Tensor& out);
void conv2d_backward_data(const kernel::ConvProblem& problem, const Tensor& grad_output, const Tensor& weight,
                          const Tensor& grad_input, bool accumulate);
void conv2d_backward_weight(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& grad_output,
                            const Tensor& grad_weight, bool accumulate_weight, const Tensor& grad_bias,
                            bool accumulate_bias);
void channel_sum(const Tensor& x, const Tensor& out, bool accumulate);

void max_pool2d_forward(const kernel::PoolProblem& problem, const Tensor& x, const Tensor& out, const Tensor& winners);
void max_pool2d_backward(const kernel::PoolProblem& problem, const Tensor& grad_output, const Tensor& winners,
                         const Tensor& grad_input, bool accumulate);
void avg_pool2d_forward(const kernel::PoolProblem& problem, const Tensor& x, const Tensor& out);
void avg_pool2d_backward(const kernel::PoolProblem& problem, const Tensor& grad_output, const Tensor& grad_input,
                         bool accumulate);

void batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                      Activation activation, double momentum, double eps, const Tensor& running_mean,
                      const Tensor& running_var, const Tensor& mean, const Tensor& inv_std, const Tensor& out);
void batch_norm_infer(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                      Activation activation, double eps, const Tensor& running_mean, const Tensor& running_var,
                      const Tensor& out);
void batch_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& weight, const Tensor& mean,
                         const Tensor& inv_std, Activation activation, bool training,
                         const kernel::BatchNormGradients& out);
void dropout(const Tensor& x, double p, uint64_t seed, uint64_t stream, const Tensor& out, bool accumulate);

void gemm(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& out, bool accumulate);
void linear_fused(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add, Activation activation,
                  const Tensor& out);

void relayout(const void* from, detail::Layout from_layout, void* to, detail::Layout to_layout, const Shape& nchw);

}  // namespace dnn::cpu
