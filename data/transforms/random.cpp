// Draws that take more than a line.
#include "data/transforms/random.h"

#include <cmath>

namespace dnn::detail {

double between_logs(Generator& generator, Bounds bounds) {
  return std::exp(between(generator, {std::log(bounds.low), std::log(bounds.high)}));
}

namespace {

// Gamma(shape) for a shape of 1 or more (Marsaglia and Tsang, "A simple method for generating gamma variables", ACM
// Transactions on Mathematical Software, 2000).
double gamma(Generator& generator, double shape) {
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = generator.normal(), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log1p(-generator.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

}  // namespace

double beta(Generator& generator, double alpha) {
  if (alpha >= 1) {
    const double a = gamma(generator, alpha), b = gamma(generator, alpha);
    return a / (a + b);
  }
  // Joehnk's method, on logarithms: for a small alpha the powers are too small for a double.
  for (;;) {
    const double a = std::log1p(-generator.uniform()) / alpha, b = std::log1p(-generator.uniform()) / alpha;
    const double largest = a > b ? a : b, sum = std::log(std::exp(a - largest) + std::exp(b - largest)) + largest;
    if (sum <= 0) return std::exp(a - sum);
  }
}

}  // namespace dnn::detail
