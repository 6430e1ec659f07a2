// Slots of the pooling operations.
#pragma once

#include "core/slot.h"
#include "dnn/ops/pool.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// Pooling sizes; the stride is never 0 here. The windows of an adaptive problem are bins: output i takes the rows from
// floor(i h / h') to ceil((i + 1) h / h'), columns alike; `kernel` is the largest of them, stride and padding say
// nothing.
struct PoolProblem {
  Shape input;   // [n, c, h, w]
  Shape output;  // [n, c, h', w']
  Size2 kernel = 2;
  Size2 stride = 2;
  Size2 padding = 0;
  bool count_include_pad = true;
  bool adaptive = false;
};

// out = window maximum; `winners` (uint8 when the window has at most 256 pixels, else int32; shaped and laid out as
// out; undefined: not wanted) = position r * kernel.w + s of the first maximum (NaN wins). x and out have one layout.
inline constinit Slot<void(const PoolProblem& problem, const Tensor& x, const Tensor& out, const Tensor& winners)>
    max_pool2d_forward{"max_pool2d_forward"};

// grad_input (+ itself when `accumulate`) from grad_output and winners, all of one layout.
inline constinit Slot<void(const PoolProblem& problem, const Tensor& grad_output, const Tensor& winners,
                           const Tensor& grad_input, bool accumulate)>
    max_pool2d_backward{"max_pool2d_backward"};

// out = window mean; x and out have one layout.
inline constinit Slot<void(const PoolProblem& problem, const Tensor& x, const Tensor& out)> avg_pool2d_forward{
    "avg_pool2d_forward"};

// grad_input (+ itself when `accumulate`) from grad_output, of one layout.
inline constinit Slot<void(const PoolProblem& problem, const Tensor& grad_output, const Tensor& grad_input,
                           bool accumulate)>
    avg_pool2d_backward{"avg_pool2d_backward"};

template <class Visit>
void visit_pool_slots(Visit&& visit) {
  visit(max_pool2d_forward), visit(max_pool2d_backward), visit(avg_pool2d_forward), visit(avg_pool2d_backward);
}

}  // namespace dnn::kernel
