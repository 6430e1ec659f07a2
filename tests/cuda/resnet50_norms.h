// The batch normalisations of a training step of ResNet-50, as graphs for cuDNN.
#pragma once

#include <algorithm>
#include <vector>

#include "cuda/norm_graph.h"
#include "tests/cuda/resnet50_convs.h"

namespace dnn::cuda::test {

// Forward and backward pass by turns. A ReLU follows, on the way of the shortcut nothing; and where a block ends, what
// is added goes before.
inline std::vector<NormGraph> resnet50_norms(DType type, int64_t batch) {
  std::vector<NormGraph> graphs;
  const auto include = [&](const ResNet50Conv& conv, bool add, bool relu) {
    const std::array<int64_t, 4> dims{batch, conv.out, conv.output_size(), conv.output_size()};
    NormGraph forward{.pass = NormPass::forward, .dtype = type, .dims = dims}, backward = forward;
    forward.add = add, forward.relu = relu, forward.running = true;
    forward.eps = 1e-5, forward.momentum = 0.1;
    backward.pass = NormPass::backward;
    if (relu) backward.sign = add ? NormSign::output : NormSign::input;
    backward.fork = add;
    if (std::find(graphs.begin(), graphs.end(), forward) == graphs.end())
      graphs.insert(graphs.end(), {forward, backward});
  };
  for (const ResNet50Conv& conv : resnet50_convs) {
    const bool widens = conv.taps == 1 && conv.out > conv.in;
    if (widens) include(conv, false, false);
    include(conv, widens, true);
  }
  return graphs;
}

}  // namespace dnn::cuda::test
