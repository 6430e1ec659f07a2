// The default generator and the host's draws.
#include "dnn/random.h"

#include <cmath>
#include <numbers>

#include "core/text.h"
#include "dnn/error.h"

namespace dnn {

uint64_t Generator::below(uint64_t bound) {
  if (bound == 0) throw ArgumentError("below: bound is 0, expected a positive number");
  // Values of the incomplete last round of `bound` would come up more often than the rest.
  const uint64_t accepted = UINT64_MAX - UINT64_MAX % bound;
  for (;;) {
    const auto words = philox(seed_, next_stream(), 0);
    const uint64_t value = uint64_t{words[0]} << 32 | words[1];
    if (value < accepted) return value % bound;
  }
}

double Generator::normal() {
  const auto words = philox(seed_, next_stream(), 0);
  const double radius = std::sqrt(-2 * std::log((words[0] + 0.5) * 0x1p-32));
  return radius * std::cos(2 * std::numbers::pi * (words[1] * 0x1p-32));
}

Generator& default_generator() {
  thread_local Generator generator;
  return generator;
}

void manual_seed(uint64_t seed) { default_generator().set_state(seed, 0); }

}  // namespace dnn
