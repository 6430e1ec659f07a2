// Slots of interpolation, and where an output pixel looks in the input, written once for both devices.
#pragma once

#include <cmath>

#include "core/slot.h"
#include "dnn/float16.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// The two input pixels that an output pixel lies between in one dimension, and how near it is to the second.
struct Tap {
  int64_t low, high;
  double weight;
};

// One dimension of an interpolation.
struct Sampling {
  int64_t input = 1;
  int64_t output = 1;
  double step = 1;  // input pixels for each output pixel
  bool linear = false;
  bool align_corners = false;

  // Neither end of the taps ever decreases with i.
  DNN_HD Tap at(int64_t i) const {
    if (!linear) {
      // In float, as PyTorch: elsewhere it would take another pixel now and then.
      const auto position = static_cast<int64_t>(::floorf(static_cast<float>(i) * static_cast<float>(step)));
      int64_t nearest = position < input - 1 ? position : input - 1;
      if (output == input) nearest = i;
      if (output == 2 * input) nearest = i / 2;
      return {nearest, nearest, 0};
    }
    double position = align_corners ? step * static_cast<double>(i) : step * (static_cast<double>(i) + 0.5) - 0.5;
    if (position < 0) position = 0;
    int64_t low = static_cast<int64_t>(position);
    if (low > input - 1) low = input - 1;
    const double weight = position - static_cast<double>(low);
    return {low, low < input - 1 ? low + 1 : low, weight < 1 ? weight : 1};
  }
};

struct InterpolateProblem {
  Shape input;   // [n, c, h, w]
  Shape output;  // [n, c, h', w']
  Sampling rows, columns;
};

// out from x, of one layout.
inline constinit Slot<void(const InterpolateProblem& problem, const Tensor& x, const Tensor& out)> interpolate_forward{
    "interpolate_forward"};

// grad_input (+ itself when `accumulate`) from grad_output, of one layout.
inline constinit Slot<void(const InterpolateProblem& problem, const Tensor& grad_output, const Tensor& grad_input,
                           bool accumulate)>
    interpolate_backward{"interpolate_backward"};

template <class Visit>
void visit_interpolate_slots(Visit&& visit) {
  visit(interpolate_forward), visit(interpolate_backward);
}

}  // namespace dnn::kernel
