// The launchers of the hand-written kernels, with the signatures of the slots that they fill (core/kernels), and
// `install_...` for the families made from lists of functors.
#pragma once

#include <vector>

#include "core/kernels/all.h"

namespace dnn::cuda {

class Context;

// The first element whatever the layout, null for an undefined tensor.
template <class T>
T* elements(const Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(detail::raw(tensor)) : nullptr;
}

void install_unary();
void install_activation();
void install_binary();
void install_predicates();

void fill(const Tensor& out, Scalar value);
void copy(const Tensor& in, const Tensor& out);
void relayout(const void* from, detail::Layout from_layout, void* to, detail::Layout to_layout, const Shape& nchw,
              int64_t element_bytes);
// to += from, images [n, c, h, w] that lie in different layouts.
void relayout_add(const Tensor& from, const Tensor& to);
// Whether the memory holds the same bytes, an even number of them. Waits.
bool same_bytes(Context& context, const void* a, const void* b, int64_t bytes);
void random_uniform(const Tensor& out, const detail::Draw& draw);
void random_normal(const Tensor& out, const detail::Draw& draw);
void random_integers(const Tensor& out, int64_t low, uint64_t count, const detail::Draw& draw);
void where(const Tensor& condition, const Tensor& a, const Tensor& b, const Tensor& out);

void reduce_sum(const Tensor& x, const kernel::ReduceShape& shape, double scale, const Tensor& out, bool accumulate);
void channel_sum(const Tensor& x, const Tensor& out, bool accumulate);
void reduce_extremum(const Tensor& x, const kernel::ReduceShape& shape, kernel::Extremum which, const Tensor& values,
                     const Tensor& indices);
void reduce_extremum_backward(const Tensor& grad, const Tensor& indices, const kernel::ReduceShape& shape,
                              const Tensor& out);

void reduce_fold(const Tensor& x, const kernel::ReduceShape& shape, const kernel::FoldRule& rule, const Tensor& out);
void reduce_fold_backward(const kernel::FoldRule& rule, const Tensor& grad, const Tensor& x, const Tensor& result,
                          const Tensor& count, const kernel::ReduceShape& shape, const Tensor& out);
void augment(const kernel::AugmentProblem& problem, const Tensor& images, const Tensor& indices,
             const detail::Draw& draw, const Tensor& out);
void gather(const Tensor& x, const Tensor& index, const kernel::IndexShape& shape, const Tensor& out);
void scatter(const Tensor& source, const Tensor& index, const kernel::IndexShape& shape, kernel::Scatter how,
             const Tensor& out);
void nonzero(const Tensor& mask, const Tensor& counts, const Tensor& out);
void dynamic_slice(const Tensor& x, const detail::HostNumber& start, const Tensor& out);
void sort(const Tensor& x, bool descending, const Tensor& values, const Tensor& indices);
void cumsum(const Tensor& x, const kernel::ReduceShape& shape, bool reverse, const Tensor& out, bool accumulate);

void gemm(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& out, bool accumulate);
void gemm_batched(const kernel::BatchedGemm& product, const Tensor& a, const Tensor& b, const Tensor& out,
                  bool accumulate);
void linear_fused(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add, Activation activation,
                  const Tensor& out, const Tensor& before);
void linear_relu(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& out, const Tensor& mask,
                 bool* done);
void linear_backward_relu(const Tensor& grad, const Tensor& weight, const Tensor& mask, const Tensor& out,
                          const Tensor& grad_bias, bool* done);
void linear_backward_weight(const Tensor& grad, const Tensor& x, const Tensor& grad_weight, bool accumulate,
                            const Tensor& grad_bias, bool accumulate_bias);

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
// out = activation(out + bias + add), add in the layout of out (plain or channels_last); bias and add may be undefined.
void conv_epilogue(const Tensor& bias, const Tensor& add, Activation activation, const Tensor& out);

void conv2d_pool_fits(const kernel::ConvPoolProblem& problem, bool* fits);
void conv2d_pool_forward(const kernel::ConvPoolProblem& problem, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, const Tensor& out, const Tensor& winners);
void conv2d_pool_backward_data(const kernel::ConvPoolProblem& problem, const Tensor& grad_output, const Tensor& winners,
                               const Tensor& weight, const Tensor& grad_input, bool accumulate);
void conv2d_pool_backward_weight(const kernel::ConvPoolProblem& problem, const Tensor& x, const Tensor& grad_output,
                                 const Tensor& winners, const Tensor& grad_weight, bool accumulate_weight,
                                 const Tensor& grad_bias, bool accumulate_bias);

void softmax_forward(const Tensor& x, const kernel::ReduceShape& shape, bool logarithm, const Tensor& y);
void softmax_backward(const Tensor& grad, const Tensor& y, const kernel::ReduceShape& shape, bool logarithm,
                      const Tensor& out, bool accumulate);
void cross_entropy_forward(const Tensor& logits, const Tensor& labels, const kernel::CrossEntropyRule& rule,
                           const Tensor& losses, const Tensor& row_weights, const Tensor& log_sums);
void cross_entropy_reduced(const Tensor& logits, const Tensor& labels, const kernel::CrossEntropyRule& rule,
                           double scale, const kernel::CrossEntropyTotals& out);
void cross_entropy_backward(const Tensor& grad, double scale, const Tensor& logits, const Tensor& labels,
                            const kernel::CrossEntropyRule& rule, const Tensor& log_sums, const Tensor& out,
                            bool accumulate);

void dropout(const Tensor& x, double p, const detail::Draw& draw, const Tensor& out, bool accumulate);

void batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                      Activation activation, double eps, const kernel::RunningStatistics& running, const Tensor& mean,
                      const Tensor& inv_std, const Tensor& out);
void batch_norm_infer(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                      Activation activation, double eps, const Tensor& running_mean, const Tensor& running_var,
                      const Tensor& out);
void batch_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& weight, const Tensor& bias,
                         const Tensor& mean, const Tensor& inv_std, Activation activation, bool training,
                         const kernel::BatchNormGradients& out);

void batch_norm_pool_fits(const kernel::PoolProblem& problem, const Tensor& x, bool* fits);
void batch_norm_pool_train(const kernel::PoolProblem& problem, const Tensor& x, const Tensor& weight,
                           const Tensor& bias, double eps, const kernel::RunningStatistics& running, const Tensor& mean,
                           const Tensor& inv_std, const Tensor& out, const Tensor& winners);
void batch_norm_pool_backward(const kernel::PoolProblem& problem, const Tensor& grad_output, const Tensor& winners,
                              const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                              const Tensor& inv_std, const kernel::BatchNormGradients& out);

void row_norm_forward(const kernel::RowNormProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                      double eps, const Tensor& mean, const Tensor& inv_std, const Tensor& out);
void row_norm_backward(const kernel::RowNormProblem& problem, const Tensor& grad, const Tensor& x, const Tensor& weight,
                       const Tensor& mean, const Tensor& inv_std, const kernel::RowNormGradients& out);
void response_norm_plan(const kernel::ResponseNormProblem& problem, const Tensor& x, kernel::ResponseNormPlan* plan);
void response_norm_forward(const kernel::ResponseNormProblem& problem, const Tensor& x, const Tensor& divisor,
                           const Tensor& out);
void response_norm_backward(const kernel::ResponseNormProblem& problem, const Tensor& grad, const Tensor& x,
                            const Tensor& y, const Tensor& divisor, const Tensor& grad_input, bool accumulate);

void max_pool2d_forward(const kernel::PoolProblem& problem, const Tensor& x, const Tensor& out, const Tensor& winners);
void max_pool2d_backward(const kernel::PoolProblem& problem, const Tensor& grad_output, const Tensor& winners,
                         const Tensor& grad_input, bool accumulate);
void avg_pool2d_forward(const kernel::PoolProblem& problem, const Tensor& x, const Tensor& out);
void avg_pool2d_backward(const kernel::PoolProblem& problem, const Tensor& grad_output, const Tensor& grad_input,
                         bool accumulate);

void interpolate_forward(const kernel::InterpolateProblem& problem, const Tensor& x, const Tensor& out);
void interpolate_backward(const kernel::InterpolateProblem& problem, const Tensor& grad_output,
                          const Tensor& grad_input, bool accumulate);

void sgd_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                const std::vector<Tensor>& velocities, const SgdUpdate& options, const kernel::UpdateExtras& extras);
void adam_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                 const std::vector<Tensor>& means, const std::vector<Tensor>& squares, const AdamUpdate& options,
                 const kernel::UpdateExtras& extras);
void rmsprop_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                    const std::vector<Tensor>& squares, const std::vector<Tensor>& means,
                    const std::vector<Tensor>& velocities, const RmspropUpdate& options,
                    const kernel::UpdateExtras& extras);
void adagrad_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                    const std::vector<Tensor>& sums, const AdagradUpdate& options, const kernel::UpdateExtras& extras);
void measure_gradients(const std::vector<Tensor>& gradients, bool infinity_norm, double max_norm, const Tensor& scale,
                       const Tensor& norm, const Tensor& factor, const Tensor& non_finite);
void scale_gradients(const std::vector<Tensor>& gradients, const Tensor& factor);
void update_loss_scale(const Tensor& scale, const Tensor& streak, const Tensor& non_finite,
                       const LossScaleUpdate& options);

}  // namespace dnn::cuda
