// What a step of a network costs at least, whoever computes it: the roofline's two numbers.
#pragma once

#include "examples/bench/workloads.h"

struct Cost {
  // Multiplications and additions of convolutions, products and recurrent layers. Training has three products where a
  // forward pass has one: the outputs, the gradients of the weights, and those of the inputs, which the first layer
  // does not need.
  double flops = 0;
  // The layers' traffic in bytes, each layer reading and writing its tensors once: forward its input, output and
  // parameters; in training also backward (the output's gradient, the input, the parameters and their gradients, and
  // the input's gradient but for the first layer), and the optimizer's pass (SGD with momentum touches five arrays of
  // the parameters' size, Adam seven). What a fused kernel or a cache saves is not taken off, so that a fast program
  // may seem to move more bytes than memory can; residual sums and the loss are not counted.
  double layer_bytes = 0;
};

// The cost of a step of `net`, which lies on the CPU.
Cost cost_of(dnn::Layer& net, const Workload& work, bool train, int64_t batch);
