// The kernels of convolution and linear layers, beside avx512.cpp.
#define DNN_SIMD_VARIANT avx512
#include "core/cpu/simd/conv_backward.h"
#include "core/cpu/simd/linear.h"

namespace dnn::cpu::avx512 {
namespace {

conv_small::Kernels half_vectors;  // the kernels with vectors of 32 bytes

// Whether half a vector would do for the last filters: it costs no more products, and fewer stores of lanes that are
// none.
bool is_narrow(const kernel::ConvProblem& p) { return (p.output[1] - 1) % vector_lanes < vector_lanes / 2; }

void conv_forward(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  Activation activation, const Tensor& out) {
  const bool crosses_blocks = detail::layout_of(out) == detail::Layout::blocked8;
  (crosses_blocks || is_narrow(problem) ? half_vectors.forward : small_conv_forward)(problem, x, weight, bias,
                                                                                     activation, out);
}

void conv_backward_weight(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& grad_output,
                          const Tensor& grad_weight, bool accumulate_weight, const Tensor& grad_bias,
                          bool accumulate_bias) {
  (is_narrow(problem) ? half_vectors.backward_weight : small_conv_backward_weight)(
      problem, x, grad_output, grad_weight, accumulate_weight, grad_bias, accumulate_bias);
}

}  // namespace

// After the kernels for AVX2.
void install_layers() {
  half_vectors = conv_small::kernels;
  conv_small::kernels = {conv_forward, small_conv_backward_data, conv_backward_weight};
  install_linear();
}

}  // namespace dnn::cpu::avx512
