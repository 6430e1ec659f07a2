// Whether cuDNN or our own kernels compute a batch normalisation in training: chosen once for each graph and pass, then
// remembered.
//
// On the first call our own kernels and the first plans that cuDNN offers compute the graph on random data in memory of
// their own. A plan whose results are not near our own, as 16 bits go, or whose ReLU turns NaN into something else, is
// left out, and so is one that is not faster. Plans that give other bits in every run are never asked for. What is left
// runs, the fastest first; a plan that fails gives way to the next, and the last to our own kernels.
//
// DNN_NORM_PLANS says how many are compared, our own kernels being the first: 4 when it is not set, and 1 asks cuDNN
// for nothing. cuDNN compiles the code of each plan, half a second for one. The own kernels stay where cuDNN knows no
// pattern (norm_graph.h), where memory is short, and in a step that is recorded before a choice was made.
#pragma once

#include <vector>

#include "cuda/norm_plan.h"

namespace dnn::cuda {

// The slots for packed images (channels.cuh) in training, of which there are some: false where our own kernels shall
// compute, and nothing has been done.
bool try_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add, Activation activation,
                    double eps, const kernel::RunningStatistics& running, const Tensor& mean, const Tensor& inv_std,
                    const Tensor& out);
bool try_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& weight, const Tensor& bias,
                       const Tensor& mean, const Tensor& inv_std, Activation activation,
                       const kernel::BatchNormGradients& out);

// What a trial measured; for reports. Our own kernels are the first, and named "own"; none where cuDNN has no plan.
struct NormTime {
  std::string name;
  double milliseconds = 0;
  int64_t workspace = 0;  // bytes
};
std::vector<NormTime> norm_times(const NormGraph& graph, Device device);

// Graphs whose choice is remembered, for tests; and the most there may be: the one unused for longest is forgotten.
size_t chosen_norms();
void forget_norms();
inline constexpr size_t norm_choices = 512;

}  // namespace dnn::cuda
