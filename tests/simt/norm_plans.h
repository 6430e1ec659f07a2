// The emulator's stand-in for cuDNN's batch normalisation, and its controls for tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/norm_plan.h"

namespace dnn::simt {

// A plan of the stand-in. All compute the same, in plain loops.
struct NormStandInPlan {
  double milliseconds = 0;  // that it claims to take: less than our own kernels
  int64_t workspace = 0;
  bool builds = true;
  int64_t runs = 1000000;  // how often, before it fails
  bool keeps_nan = true;   // of its ReLU
  double error = 0;        // relative, of every image that it writes
  bool silent = false;     // writes nothing
};

// What the stand-in offers for every graph from now on: as cuDNN without a GPU, no plans unless told otherwise.
void set_norm_stand_in(const std::vector<NormStandInPlan>& plans);
// It cannot be asked from now on, as where cuDNN is missing.
void lose_norm_stand_in();

// The plans that ran since the last call, as numbers in order, those that failed included.
std::vector<int64_t> take_norm_runs();
// The graphs that plans were asked for since the last call.
std::vector<cuda::NormGraph> take_norm_graphs();

}  // namespace dnn::simt
