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

// Where the loops for few channels are faster than oneDNN: measured over 1 to 16 channels, 4 to 32 filters of 1x1 to
// 7x7 and images of 8x8 to 32x32. oneDNN's kernels that write blocks of filters from a plain image are the faster ones.
bool has_small_kernel(const ConvProblem& p) { return p.groups == 1 && p.weight[2] * p.weight[3] >= 9; }

bool is_small(const ConvProblem& p, detail::Layout input) {
  const int64_t channels = p.input[1], filters = p.output[1], taps = channels * p.weight[2] * p.weight[3];
  return has_small_kernel(p) && channels <= 8 && (filters <= 8 || (filters <= 16 && taps <= 160)) &&
         conv_onednn::output_layout(p, input) <= detail::Layout::channels_last;
}

// The data's gradient of few channels is where oneDNN is weakest, whatever the number of filters.
bool is_small_backward_data(const ConvProblem& p) {
  const int64_t channels = p.input[1], filters = p.output[1];
  return has_small_kernel(p) && ((channels <= 3 && filters >= 8) || (channels <= 8 && filters >= 12 && filters <= 32));
}

// Those loops write filters side by side.
bool has_channels_inside(const Tensor& out) {
  return detail::layout_of(out) != detail::Layout::plain || out.shape()[1] == 1;
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
  if (is_small(problem, detail::layout_of(x)) && !add.defined() && has_channels_inside(result)) {
    conv_small::kernels.forward(problem, to_float32(x), to_float32(weight), to_float32(bias), activation, result);
    return round_to(result, out);
  }
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
  if (is_small_backward_data(problem)) {
    conv_small::kernels.backward_data(problem, to_float32(grad_output), to_float32(weight), result, accumulate);
    return round_to(result, grad_input);
  }
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
  if (is_small(problem, detail::layout_of(x)))
    conv_small::kernels.backward_weight(problem, to_float32(x), to_float32(grad_output), weight_result,
                                        accumulate_weight, bias_result, accumulate_bias);
  else
    conv_onednn::backward_weight(with_float32(problem), to_float32(x), to_float32(grad_output), weight_result,
                                 accumulate_weight, bias_result, accumulate_bias);
  round_to(weight_result, grad_weight);
  round_to(bias_result, grad_bias);
}

}  // namespace dnn::cpu
