// Timing one case: a workload, trained or used, on a device. And what the device can do at best.
#pragma once

#include "examples/bench/rows.h"
#include "examples/bench/workloads.h"

struct Case {
  std::string workload;
  bool train = true;
  dnn::Device device = {};
  std::string precision = "fp32", mode = "eager";
  int64_t batch = 0;   // 0: the workload's own
  double seconds = 3;  // about how long to time
};

// Throws ArgumentError for what cannot be measured: no such workload, precision or mode, a number out of range.
void check(const Case& what);

// Throws what `check` and the network throw, and dnn::Error for a loss that is not finite.
Row measure(const Case& what);

// The precisions of a device, the one first that is measured when none is asked for.
std::vector<std::string> precisions(dnn::Device device);

// Chooses the precision of all work from now on.
void use_precision(const std::string& precision);

struct Times {
  double median, min, p90, max;  // milliseconds; nine steps of ten take at most p90
};
// A warm-up, then single steps for about `seconds`; on a GPU also steps back to back, of which the median is the lower.
Times time_steps(const std::function<void()>& step, dnn::Device device, double seconds);
