// The pictures of the report, each an SVG; empty when there is nothing to show.
#pragma once

#include <string>
#include <vector>

#include "examples/bench/pairs.h"

// What is shown: rows of libdnn and of a peer, each case once.
struct Results {
  std::vector<Row> ours, peers;
};

// Samples a second of each workload and phase, on CPU and GPU, ours and the peer's: bars on a logarithmic axis.
std::string throughput_chart(const Results& results);
// How many times as fast as the peer: bars around 1, with the range of the rounds.
std::string ratio_chart(const std::vector<Pair>& pairs);
// Operations a second over operations a byte, under the roof that the device was measured to have; a picture for each
// device.
std::string roofline_charts(const std::vector<Row>& rows);
// Samples a second over the batch, a panel for each workload and device of which several batches were measured.
std::string scaling_charts(const Results& results);
