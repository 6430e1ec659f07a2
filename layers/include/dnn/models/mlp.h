// Networks of fully connected layers.
#pragma once

#include <vector>

#include "dnn/layers/sequential.h"

namespace dnn {

/// Options of `mlp`.
struct MlpOptions {
  int64_t classes = 10;                 ///< Outputs.
  int64_t inputs = 28 * 28;             ///< Elements of one sample.
  std::vector<int64_t> hidden = {128};  ///< Neurons of each hidden layer.
  double dropout = 0.2;                 ///< Probability of zeroing a hidden neuron in training; 0: no dropout.
};

/// Fully connected layers with ReLU, and dropout after each: [n, ...] with `inputs` elements per sample -> [n,
/// classes]. Throws ArgumentError when a size is below 1 or the dropout no probability.
Sequential mlp(const MlpOptions& options = {});

}  // namespace dnn
