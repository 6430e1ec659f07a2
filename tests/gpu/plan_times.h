// The time of every plan that cuDNN has for the convolutions of ResNet-50, and of those for its batch normalisations
// that libdnn compares with its own kernels.
#pragma once

#include <cstdint>
#include <iosfwd>

namespace dnn::gpu {

struct PlanTimesOptions {
  int64_t first = 0;    // graph to begin with; they are numbered from 0
  double seconds = 60;  // after which no further graph is begun
  int64_t batch = 256;
};

// The graphs: 23 convolutions, in bfloat16 and float16, three passes each; then 16 normalisations, two passes each.
int64_t plan_times_graphs();

// Writes a line of JSON for each plan that runs (with the graph's number, rank among the plans, microseconds,
// workspace, and the operations of a convolution), and {"done": graph} after the plans of a graph. The first plan of a
// normalisation is "own", our kernels. True when all graphs are done.
bool write_plan_times(const PlanTimesOptions& options, std::ostream& out);

}  // namespace dnn::gpu
