// The kernels around cuDNN's batch normalisation: what its graphs leave out, and whether its results are right.
#pragma once

#include "dnn/tensor.h"

namespace dnn::cuda {

// Counts one more in `batches`, int64 [].
void count_batch(const Tensor& batches);

// How near two numbers shall be: within `tolerance` times the larger one and `scale`. Numbers beside whose `before`,
// the input of a ReLU, is within `tolerance` of 0 are not compared, since either may be 0; it may be undefined.
struct Nearness {
  float tolerance = 0, scale = 0;
  Tensor before = {};
};

// Whether all elements are near each other, NaN where the other is NaN. Waits.
bool are_near(const Tensor& a, const Tensor& b, const Nearness& nearness);

}  // namespace dnn::cuda
