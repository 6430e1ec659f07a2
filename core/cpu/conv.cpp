// The convolution slots: which implementation computes which type, and the cases that need no computation.
#include "core/cpu/conv.h"

#include "core/cpu/convert.h"
#include "core/cpu/kernels.h"
#include "core/functors.h"
#include "core/kernels/copy.h"

namespace dnn::cpu {
namespace {

using kernel::ConvProblem;

ConvProblem with_float32(ConvProblem problem) {
  problem.dtype = DType::float32;
  return problem;
}

// out = activation(out + add), of float64.
void add_and_activate(const Tensor& add, Activation activation, const Tensor& out) {
  const double* const addend = add.defined() ? static_cast<const double*>(detail::raw(add)) : nullptr;
  double* const values = static_cast<double*>(detail::raw(out));
  for (int64_t i = 0; i < out.numel(); ++i) {
    const double sum = values[i] + (addend != nullptr ? addend[i] : 0.0);
    values[i] = activation == Activation::relu ? functor::Relu{}.forward(sum) : sum;
  }
}

void clear(const Tensor& t, bool accumulate) {
  if (t.defined() && !accumulate) kernel::fill[t.device()](t, 0);
}

}  // namespace

void conv2d_layout(const ConvProblem& problem, detail::Layout input, detail::Layout* output) {
  if (problem.dtype == DType::float32) *output = conv_onednn::output_layout(problem, input);
}

void conv2d_forward(const ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                    const Tensor& out) {
  if (out.numel() == 0) return;
  if (out.dtype() == DType::float64) return conv_reference::forward(problem, x, weight, bias, out);
  conv2d_fused(problem, x, weight, bias, {}, Activation::none, out);
}

void conv2d_fused(const ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& add, Activation activation, const Tensor& out) {
  if (out.numel() == 0) return;
  if (out.dtype() == DType::float64) {
    conv_reference::forward(problem, x, weight, bias, out);
    return add_and_activate(add, activation, out);
  }
  const Tensor result = float32_like(out);
  conv_onednn::forward(with_float32(problem), to_float32(x), to_float32(weight), to_float32(bias), to_float32(add),
                       activation, result);
  round_to(result, out);
}

void conv2d_backward_data(const ConvProblem& problem, const Tensor& grad_output, const Tensor& weight,
                          const Tensor& grad_input, bool accumulate) {
  if (grad_input.numel() == 0) return;
  if (grad_output.numel() == 0) return clear(grad_input, accumulate);
  if (grad_input.dtype() == DType::float64) {
    return conv_reference::backward_data(problem, grad_output, weight, grad_input, accumulate);
  }
  const Tensor result = float32_like(grad_input, accumulate);
  conv_onednn::backward_data(with_float32(problem), to_float32(grad_output), to_float32(weight), result, accumulate);
  round_to(result, grad_input);
}

void conv2d_backward_weight(const ConvProblem& problem, const Tensor& x, const Tensor& grad_output,
                            const Tensor& grad_weight, bool accumulate_weight, const Tensor& grad_bias,
                            bool accumulate_bias) {
  if (x.numel() == 0 || grad_output.numel() == 0) {
    clear(grad_weight, accumulate_weight);
    return clear(grad_bias, accumulate_bias);
  }
  if (grad_weight.dtype() == DType::float64) {
    conv_reference::backward_weight(problem, x, grad_output, grad_weight, accumulate_weight);
    if (grad_bias.defined()) kernel::channel_sum[grad_bias.device()](grad_output, grad_bias, accumulate_bias);
    return;
  }
  const Tensor weight_result = float32_like(grad_weight, accumulate_weight);
  const Tensor bias_result = float32_like(grad_bias, accumulate_bias);
  conv_onednn::backward_weight(with_float32(problem), to_float32(x), to_float32(grad_output), weight_result,
                               accumulate_weight, bias_result, accumulate_bias);
  round_to(weight_result, grad_weight);
  round_to(bias_result, grad_bias);
}

}  // namespace dnn::cpu
