// Timing one case: a workload, trained or used, on a device.
#pragma once

#include <optional>

#include "workloads.h"

struct Case {
  std::string workload;
  bool train = true;
  dnn::Device device;
  std::string precision = "fp32", mode = "eager";
  int64_t batch = 0;   // 0: the workload's own
  double seconds = 3;  // about how long to time
};

struct Measurement {
  Case what;                                     // with the batch that was used
  int threads = 0;                               // of the CPU kernels
  double median_ms = 0, min_ms = 0, max_ms = 0;  // of one step
  std::optional<double> loss;                    // after the timed steps
  int64_t peak_bytes = 0;  // that the steps added to resident memory, or the peak of the GPU's allocator
  int64_t flops = 0;       // of one step, see `flops_of`

  double samples_per_s() const { return static_cast<double>(what.batch) / median_ms * 1e3; }
};

// Throws what the network throws, and dnn::Error for a loss that is not finite.
Measurement measure(const Case& what);
