// Kernels for 16-bit types by way of float32: convert, compute, convert back, so that every result is rounded once.
//
// This takes memory and time, but those types are for GPUs; instantiated for them, the kernels would be twice as large.
#include "core/cpu/convert.h"
#include "core/cpu/simd/simd.h"

namespace dnn::cpu {
namespace {

constexpr Device device = Device::cpu();

}  // namespace

void softmax_forward_by_float(const Tensor& x, const kernel::ReduceShape& shape, bool logarithm, const Tensor& y) {
  const Tensor result = float32_like(y);
  kernel::softmax_forward[device](to_float32(x), shape, logarithm, result);
  round_to(result, y);
}

void softmax_backward_by_float(const Tensor& grad, const Tensor& y, const kernel::ReduceShape& shape, bool logarithm,
                               const Tensor& out, bool accumulate) {
  const Tensor result = float32_like(out, accumulate);
  kernel::softmax_backward[device](to_float32(grad), to_float32(y), shape, logarithm, result, accumulate);
  round_to(result, out);
}

void cross_entropy_forward_by_float(const Tensor& logits, const Tensor& labels, const kernel::CrossEntropyRule& rule,
                                    const Tensor& losses, const Tensor& row_weights, const Tensor& log_sums) {
  const Tensor result = float32_like(losses);
  kernel::cross_entropy_forward[device](to_float32(logits), labels, rule, result, row_weights, log_sums);
  round_to(result, losses);
}

void cross_entropy_backward_by_float(const Tensor& grad, double scale, const Tensor& logits, const Tensor& labels,
                                     const kernel::CrossEntropyRule& rule, const Tensor& log_sums, const Tensor& out,
                                     bool accumulate) {
  const Tensor result = float32_like(out, accumulate);
  kernel::cross_entropy_backward[device](to_float32(grad), scale, to_float32(logits), labels, rule, log_sums, result,
                                         accumulate);
  round_to(result, out);
}

void reduce_extremum_by_float(const Tensor& x, const kernel::ReduceShape& shape, kernel::Extremum which,
                              const Tensor& values, const Tensor& indices) {
  const Tensor result = float32_like(values);
  kernel::reduce_extremum[device](to_float32(x), shape, which, result, indices);
  round_to(result, values);
}

void max_pool2d_backward_by_float(const kernel::PoolProblem& p, const Tensor& grad_output, const Tensor& winners,
                                  const Tensor& grad_input, bool accumulate) {
  const Tensor result = float32_like(grad_input, accumulate);
  kernel::max_pool2d_backward[device](p, to_float32(grad_output), winners, result, accumulate);
  round_to(result, grad_input);
}

void avg_pool2d_backward_by_float(const kernel::PoolProblem& p, const Tensor& grad_output, const Tensor& grad_input,
                                  bool accumulate) {
  const Tensor result = float32_like(grad_input, accumulate);
  kernel::avg_pool2d_backward[device](p, to_float32(grad_output), result, accumulate);
  round_to(result, grad_input);
}

}  // namespace dnn::cpu
