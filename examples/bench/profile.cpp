// A case under the profiler: the same steps as those that are timed.
#include "examples/bench/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

using namespace dnn;

namespace {

// Seconds of that many steps.
double run(Step& step, Device device, int64_t count) {
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < count; ++i) step();
  synchronize(device);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::string profile(const Case& what, const std::string& trace) {
  if (!trace.empty()) prepare_to_write(trace);
  Step step(what);
  run(step, what.device, 2);  // plans, caches, what is folded once
  const double each = run(step, what.device, 1);
  const auto count = static_cast<int64_t>(std::clamp(std::round(what.seconds / std::max(each, 1e-6)), 3.0, 1000.0));

  Profiler profiler;
  {
    const auto running = profiler.start();
    run(step, what.device, count);
  }
  std::string text = fmt::format("{} {}, {} on {}, batch {}: a step, the mean of {}\n\n{}\n{}", what.workload,
                                 what.train ? "train" : "infer", what.precision, what.device.str(), step.batch(), count,
                                 profiler.layer_table(count), profiler.operation_table(count));
  if (trace.empty()) return text;
  profiler.clear();
  {
    const auto running = profiler.start();
    run(step, what.device, 3);
  }
  profiler.chrome_trace(trace);
  return text + fmt::format("trace: {}\n", trace);
}
