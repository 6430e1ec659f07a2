// Random draws of transforms.
#pragma once

#include <cstdint>

#include "dnn/data/transforms/crop.h"
#include "dnn/random.h"

namespace dnn::detail {

// Whether an event of probability p happens.
inline bool happens(Generator& generator, double p) { return generator.uniform() < p; }

// Uniform in [low, high).
inline double between(Generator& generator, Bounds bounds) {
  return bounds.low + (bounds.high - bounds.low) * generator.uniform();
}

// In [low, high), its logarithm uniform.
double between_logs(Generator& generator, Bounds bounds);

// A whole number in [0, count).
inline int64_t choose(Generator& generator, int64_t count) {
  return static_cast<int64_t>(generator.below(static_cast<uint64_t>(count)));
}

// Beta(alpha, alpha), in [0, 1].
double beta(Generator& generator, double alpha);

}  // namespace dnn::detail
