// What the two paths of batch normalisation share: constants of channels, and what becomes of their sums.
//
// norm.cu takes images of any type and layout; norm_packed.cu those whose channels lie side by side in whole packs.
#pragma once

#include "core/kernels/norm.h"
#include "core/math.h"
#include "cuda/channels.cuh"
#include "cuda/norm_packed.h"
#include "cuda/vector.cuh"

namespace dnn::cuda {

// Statistics have the activations' type, but at least float.
template <class T>
using Statistic = Compute<T>;

// The constants of a channel: x -> (x - mean) * inv_std * weight + bias.
template <class S>
struct ChannelTransform {
  const S* mean;
  const S* inv_std;   // null: from the variance
  const S* variance;  // null: inv_std is there
  const S* weight;
  const S* bias;
  double eps;

  __device__ S deviation(int64_t c) const {
    return inv_std != nullptr ? inv_std[c] : S(1) / math::sqrt(variance[c] + static_cast<S>(eps));
  }
};

// Mean and deviation of the batch, and the running statistics; called once for each channel.
template <class S>
struct StoreStatistics {
  S* mean;
  S* inv_std;
  S* running_mean;  // null: none
  S* running_var;
  int64_t* batches;  // null: not counted
  double count, momentum, eps;

  StoreStatistics(const kernel::RunningStatistics& running, const Tensor& mean, const Tensor& inv_std, int64_t count,
                  double eps)
      : mean(elements<S>(mean)),
        inv_std(elements<S>(inv_std)),
        running_mean(elements<S>(running.mean)),
        running_var(elements<S>(running.var)),
        batches(elements<int64_t>(running.batches)),
        count(static_cast<double>(count)),
        momentum(running.momentum),
        eps(eps) {}
  __device__ void store(int64_t c, double average, double variance) const {
    if (c == 0 && batches != nullptr) ++*batches;
    mean[c] = static_cast<S>(average);
    inv_std[c] = static_cast<S>(1 / math::sqrt(variance + eps));
    if (running_mean == nullptr) return;
    running_mean[c] = static_cast<S>((1 - momentum) * static_cast<double>(running_mean[c]) + momentum * average);
    running_var[c] = static_cast<S>((1 - momentum) * static_cast<double>(running_var[c]) +
                                    momentum * variance * count / (count - 1));
  }
};

// The gradients of weight and bias, from the sums of the gradient and of its product with the normalised x.
template <class S>
struct StoreGradients {
  S* weight;  // null: not wanted
  S* bias;
  bool accumulate_weight, accumulate_bias;
  __device__ void store(int64_t c, double gradient, double product) const {
    if (weight != nullptr) weight[c] = static_cast<S>((accumulate_weight ? double{weight[c]} : 0.0) + product);
    if (bias != nullptr) bias[c] = static_cast<S>((accumulate_bias ? double{bias[c]} : 0.0) + gradient);
  }
};

}  // namespace dnn::cuda
