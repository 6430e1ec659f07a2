// The emulator's stand-in for cuDNN's convolutions, and its controls for tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/conv_plan.h"

namespace dnn::simt {

// A plan of the stand-in. All compute the same, in plain loops over sizes and strides.
struct StandInPlan {
  double milliseconds = 1;  // that it claims to take
  int64_t workspace = 0;
  bool builds = true;
  bool runs = true;
  bool keeps_nan = true;  // of its ReLU
  bool in_place = true;   // what it adds may lie where the result goes
  bool in_order = true;   // of its sums; otherwise it cannot be built for a deterministic graph
  std::string name = "";  // loops0, loops1, ... when it has none
};

// What the stand-in offers for every graph from now on; no plans means that it does not know the graph.
struct StandIn {
  std::vector<StandInPlan> plans{StandInPlan{}};
  std::vector<StandInPlan> fused_plans{StandInPlan{}};   // for graphs with a bias
  std::vector<StandInPlan> adding_plans{StandInPlan{}};  // for graphs that accumulate
  std::string library = "loops 1";
};
void set_stand_in(const StandIn& stand_in);

// The plans that ran since the last call, as numbers in order, times included.
std::vector<int64_t> take_runs();
// The graphs that plans were asked for since the last call.
std::vector<cuda::ConvGraph> take_graphs();

}  // namespace dnn::simt
