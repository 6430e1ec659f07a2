// Recurrent layers: the kernels of core/kernels/recurrent.h.
#pragma once

#include "core/kernels/recurrent.h"

namespace dnn::cuda {

void recurrent_reserve(const kernel::RecurrentProblem& problem, int64_t* bytes);
void recurrent_forward(const kernel::RecurrentProblem& problem, const kernel::RecurrentTensors& tensors,
                       const Tensor& c_n);
void recurrent_backward(const kernel::RecurrentProblem& problem, const kernel::RecurrentTensors& tensors,
                        const Tensor& grad_y, const Tensor& grad_c_n, const kernel::RecurrentGradients& out);

}  // namespace dnn::cuda
