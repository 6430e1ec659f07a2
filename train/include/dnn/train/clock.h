// The clock seam: tests put a clock of their own in its place.
#pragma once

#include <functional>

namespace dnn {

/// Seconds since some moment; never runs backwards.
using Clock = std::function<double()>;

/// The machine's monotonic clock.
Clock monotonic_clock();

}  // namespace dnn
