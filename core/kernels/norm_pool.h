// Slots of a batch normalisation with ReLU and max pooling behind it, in training. All may be left empty: core composes
// the plain ones.
#pragma once

#include "core/kernels/norm.h"
#include "core/kernels/pool.h"

namespace dnn::kernel {

// Whether the device has kernels for that x, which is channels_last then; asked before the others.
inline constinit Slot<void(const PoolProblem& problem, const Tensor& x, bool* fits)> batch_norm_pool_fits{
    "batch_norm_pool_fits", SlotKind::question};

// As batch_norm_train and max_pool2d_forward one after the other; out and winners (uint8, undefined when not wanted)
// are channels_last.
inline constinit Slot<void(const PoolProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                           double eps, const RunningStatistics& running, const Tensor& mean, const Tensor& inv_std,
                           const Tensor& out, const Tensor& winners)>
    batch_norm_pool_train{"batch_norm_pool_train"};

// The gradients of the batch normalisation (`add` aside) from that of the pooling's output.
inline constinit Slot<void(const PoolProblem& problem, const Tensor& grad_output, const Tensor& winners,
                           const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                           const Tensor& inv_std, const BatchNormGradients& out)>
    batch_norm_pool_backward{"batch_norm_pool_backward"};

template <class Visit>
void visit_norm_pool_slots(Visit&& visit) {
  visit(batch_norm_pool_fits), visit(batch_norm_pool_train), visit(batch_norm_pool_backward);
}

}  // namespace dnn::kernel
