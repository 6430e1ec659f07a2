// The CPU kernels that fill the slots, except those of core/cpu/simd; what each computes stands at its slot.
#pragma once

#include "core/kernels/augment.h"
#include "core/kernels/conv.h"
#include "core/kernels/index.h"
#include "core/kernels/linear.h"
#include "core/kernels/sort.h"
#include "core/storage.h"

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

void gemm(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& out, bool accumulate);
void gemm_batched(const kernel::BatchedGemm& problem, const Tensor& a, const Tensor& b, const Tensor& out,
                  bool accumulate);
void linear_fused(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add, Activation activation,
                  const Tensor& out, const Tensor& before);

void augment(const kernel::AugmentProblem& problem, const Tensor& images, const Tensor& indices,
             const detail::Draw& draw, const Tensor& out);
void gather(const Tensor& x, const Tensor& index, const kernel::IndexShape& shape, const Tensor& out);
void scatter(const Tensor& source, const Tensor& index, const kernel::IndexShape& shape, kernel::Scatter how,
             const Tensor& out);
void nonzero(const Tensor& mask, const Tensor& counts, const Tensor& out);
void dynamic_slice(const Tensor& x, const detail::HostNumber& start, const Tensor& out);
void sort(const Tensor& x, bool descending, const Tensor& values, const Tensor& indices);
void cumsum(const Tensor& x, const kernel::ReduceShape& shape, bool reverse, const Tensor& out, bool accumulate);

void relayout(const void* from, detail::Layout from_layout, void* to, detail::Layout to_layout, const Shape& nchw,
              int64_t element_bytes);

}  // namespace dnn::cpu
