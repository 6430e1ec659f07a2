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

/// Options of `hinton2006`.
struct Hinton2006Options {
  int64_t classes = 10;      ///< Outputs.
  int64_t inputs = 28 * 28;  ///< Elements of one sample.
  int64_t width = 500;       ///< Neurons of the first hidden layer; the others have 1 and 4 times as many.
};

/// The network that layer-wise pretraining made famous, 784-500-500-2000-10 with logistic units (Hinton, Osindero and
/// Teh, "A fast learning algorithm for deep belief nets", Neural Computation 2006), as the plain network that is
/// trained after it: [n, ...] with `inputs` elements per sample -> [n, classes]. Throws ArgumentError for a size below
/// 1.
Sequential hinton2006(const Hinton2006Options& options = {});

}  // namespace dnn
