// Kernels for 16-bit types by way of float32: convert, compute, convert back, so that every result is rounded once.
//
// This takes memory and time, but those types are for GPUs; instantiated for them, the kernels would be twice as large.
#include "core/cpu/convert.h"
#include "core/cpu/simd/simd.h"
#include "dnn/autograd.h"

namespace dnn::cpu {
namespace {

constexpr Device device = Device::cpu();

kernel::RecurrentTensors to_float32(const kernel::RecurrentTensors& t) {
  kernel::RecurrentTensors wide{
      cpu::to_float32(t.x), cpu::to_float32(t.h_0), cpu::to_float32(t.c_0), cpu::to_float32(t.y), t.reserve, {}};
  for (int d = 0; d < 2; ++d) {
    const RecurrentWeights& w = t.weights[d];
    wide.weights[d] = {cpu::to_float32(w.weight_ih), cpu::to_float32(w.weight_hh), cpu::to_float32(w.bias_ih),
                       cpu::to_float32(w.bias_hh)};
  }
  return wide;
}

kernel::RecurrentProblem to_float32(kernel::RecurrentProblem problem) {
  problem.dtype = DType::float32;
  return problem;
}

// Calls visit(gradient of `out`, that of `wide`) for all of them, in the order in which they are to be written.
template <class Visit>
void visit_gradients(const kernel::RecurrentGradients& out, kernel::RecurrentGradients& wide, const Visit& visit) {
  visit(out.x, wide.x), visit(out.h_0, wide.h_0), visit(out.c_0, wide.c_0);
  for (int d = 0; d < 2; ++d) {
    const auto& from = out.weights[d];
    auto& to = wide.weights[d];
    visit(from.weight_ih, to.weight_ih), visit(from.weight_hh, to.weight_hh);
    visit(from.bias_ih, to.bias_ih), visit(from.bias_hh, to.bias_hh);
  }
}

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

void cross_entropy_reduced_by_float(const Tensor& logits, const Tensor& labels, const kernel::CrossEntropyRule& rule,
                                    double scale, const kernel::CrossEntropyTotals& out) {
  kernel::CrossEntropyTotals wide = out;
  wide.loss = float32_like(out.loss);
  if (out.gradient.defined()) wide.gradient = float32_like(out.gradient);
  kernel::cross_entropy_reduced[device](to_float32(logits), labels, rule, scale, wide);
  round_to(wide.loss, out.loss);
  if (out.gradient.defined()) round_to(wide.gradient, out.gradient);
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

void recurrent_forward_by_float(const kernel::RecurrentProblem& p, const kernel::RecurrentTensors& t,
                                const Tensor& c_n) {
  kernel::RecurrentTensors wide = to_float32(t);
  const Tensor cells = c_n.defined() ? float32_like(c_n) : c_n;
  kernel::recurrent_forward[device](to_float32(p), wide, cells);
  round_to(wide.y, t.y);
  round_to(cells, c_n);
}

// Nothing accumulates in the stand-ins: two gradients may have one destination.
void recurrent_backward_by_float(const kernel::RecurrentProblem& p, const kernel::RecurrentTensors& t,
                                 const Tensor& grad_y, const Tensor& grad_c_n, const kernel::RecurrentGradients& out) {
  using kernel::RecurrentGradient;
  kernel::RecurrentGradients wide;
  visit_gradients(out, wide, [](const RecurrentGradient& from, RecurrentGradient& to) {
    if (from.tensor.defined()) to.tensor = float32_like(from.tensor);
  });
  kernel::recurrent_backward[device](to_float32(p), to_float32(t), cpu::to_float32(grad_y), cpu::to_float32(grad_c_n),
                                     wide);
  const NoGrad no_grad;
  visit_gradients(out, wide, [](const RecurrentGradient& to, RecurrentGradient& from) {
    if (!to.tensor.defined()) return;
    if (to.accumulate) from.tensor.add_(cpu::to_float32(to.tensor));
    round_to(from.tensor, to.tensor);
  });
}

}  // namespace dnn::cpu
