// The time of every plan that cuDNN has for the convolutions of ResNet-50.
#pragma once

#include <cstdint>
#include <iosfwd>

namespace dnn::gpu {

struct PlanTimesOptions {
  int64_t first = 0;    // graph to begin with; they are numbered from 0
  double seconds = 60;  // after which no further graph is begun
  int64_t batch = 256;
};

// The graphs: 23 convolutions, in bfloat16 and float16, three passes each.
int64_t plan_times_graphs();

// Writes a line of JSON for each plan that runs (with the graph's number, rank among the plans, microseconds,
// workspace, operations), and {"done": graph} after the plans of a graph. True when all graphs are done.
bool write_plan_times(const PlanTimesOptions& options, std::ostream& out);

}  // namespace dnn::gpu
