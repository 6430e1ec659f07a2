// Slots of the recurrent networks: one layer, in one direction or in both, over all steps.
#pragma once

#include "core/slot.h"
#include "dnn/ops/recurrent.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

enum class RecurrentCell { lstm, gru, tanh, relu };

// A layer without its tensors.
struct RecurrentProblem {
  RecurrentCell cell = RecurrentCell::lstm;
  int64_t steps = 1;
  int64_t batch = 1;
  int64_t input = 1;
  int64_t hidden = 1;
  int64_t directions = 1;
  DType dtype = DType::float32;
  int64_t gates = 4;     // rows of the weights, in units of `hidden`
  bool training = true;  // whether a backward pass may follow
};

// The tensors that both passes read, contiguous and plain: x [t, n, input]; h_0 and c_0 [directions, n, hidden] may be
// undefined, which means zeros; y [t, n, directions * hidden]; the reserve is memory of the device's own in which the
// forward pass leaves what the backward pass reads (bytes, of the size that `recurrent_reserve` says).
struct RecurrentTensors {
  Tensor x, h_0, c_0, y, reserve;
  RecurrentWeights weights[2];
  // All but the reserve.
  template <class Visit>
  void each_tensor(Visit&& visit) const {
    visit(x), visit(h_0), visit(c_0), visit(y);
    for (const RecurrentWeights& w : weights)
      visit(w.weight_ih), visit(w.weight_hh), visit(w.bias_ih), visit(w.bias_hh);
  }
};

// One gradient: undefined when nobody wants it; added to what is there when `accumulate`.
struct RecurrentGradient {
  Tensor tensor = {};
  bool accumulate = false;
};

// They are to be written in this order: weights that are one tensor have one destination.
struct RecurrentGradients {
  RecurrentGradient x, h_0, c_0;
  struct Weights {
    RecurrentGradient weight_ih, weight_hh, bias_ih, bias_hh;
  } weights[2];
  template <class Visit>
  void each_tensor(Visit&& visit) const {
    visit(x.tensor), visit(h_0.tensor), visit(c_0.tensor);
    for (const Weights& w : weights)
      visit(w.weight_ih.tensor), visit(w.weight_hh.tensor), visit(w.bias_ih.tensor), visit(w.bias_hh.tensor);
  }
};

// Products of the gates with weights, of inputs and of states; the work of the cells themselves is little beside it.
struct RecurrentWork {
  static int64_t flops(const RecurrentProblem& p, int64_t features) {
    return 2 * p.steps * p.batch * p.directions * p.gates * p.hidden * features;
  }
  detail::Work operator()(const RecurrentProblem& p, const RecurrentTensors&, const Tensor&) const {
    return {.flops = flops(p, p.input + p.hidden)};
  }
  detail::Work operator()(const RecurrentProblem& p, const RecurrentTensors&, const Tensor&, const Tensor&,
                          const RecurrentGradients& out) const {
    detail::Work work{.flops = flops(p, p.hidden)};  // the states' gradients come always
    if (out.x.tensor.defined()) work.flops += flops(p, p.input);
    if (out.weights[0].weight_ih.tensor.defined()) work.flops += flops(p, p.input);
    if (out.weights[0].weight_hh.tensor.defined()) work.flops += flops(p, p.hidden);
    return work;
  }
};

// Size of the reserve.
inline constinit Slot<void(const RecurrentProblem& problem, int64_t* bytes)> recurrent_reserve{"recurrent_reserve",
                                                                                               SlotKind::question};

// Writes y, c_n [directions, n, hidden] (lstm alone, else undefined) and the reserve. The final states are parts of y.
inline constinit Slot<void(const RecurrentProblem& problem, const RecurrentTensors& tensors, const Tensor& c_n)>
    recurrent_forward{"recurrent_forward"};

// The gradients from those of y and c_n (lstm alone, else undefined); the biases are undefined here. Leaves the reserve
// as it is.
inline constinit Slot<void(const RecurrentProblem& problem, const RecurrentTensors& tensors, const Tensor& grad_y,
                           const Tensor& grad_c_n, const RecurrentGradients& out)>
    recurrent_backward{"recurrent_backward"};

template <class Visit>
void visit_recurrent_slots(Visit&& visit) {
  visit(recurrent_reserve), visit(recurrent_forward), visit(recurrent_backward);
}

}  // namespace dnn::kernel
