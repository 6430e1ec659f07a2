// The clock of the machine.
// The clock of the system, and the one tests wind by hand.

#include "dnn/train/clock.h"

#include <chrono>

namespace dnn {

Clock monotonic_clock() {
  return [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
}

}  // namespace dnn
