// Comparing arrays; the message names the worst element.
#include "tests/harness/compare.h"

#include <algorithm>
#include <cmath>

namespace dnn::test {

namespace {

double root_mean_square(const Array& x) {
  double sum = 0;
  int64_t count = 0;
  for (double value : x.values)
    if (std::isfinite(value)) sum += value * value, ++count;
  return count == 0 ? 0 : std::sqrt(sum / static_cast<double>(count));
}

std::string index_of(const Shape& shape, int64_t position) {
  Shape index = shape;
  for (int64_t d = shape.rank() - 1; d >= 0; --d) index[d] = position % shape[d], position /= shape[d];
  return index.str();
}

}  // namespace

::testing::AssertionResult close(const Array& actual, const Array& expected, double tolerance, double least) {
  if (!(actual.shape == expected.shape))
    return ::testing::AssertionFailure() << "shape " << actual.shape.str() << ", expected " << expected.shape.str();
  const double scale = std::max(root_mean_square(expected), least);
  int64_t worst = -1, wrong = 0;
  double worst_excess = 0;
  for (int64_t i = 0; i < actual.size(); ++i) {
    const double a = actual[i], e = expected[i];
    if (a == e || (std::isnan(a) && std::isnan(e))) continue;
    const double allowed = tolerance * (std::abs(e) + scale);
    const double difference = std::abs(a - e);
    if (std::isfinite(e) && difference <= allowed) continue;
    const double excess = std::isfinite(difference) && std::isfinite(e) ? difference / (allowed + 1e-300) : INFINITY;
    ++wrong;
    if (worst < 0 || excess > worst_excess) worst = i, worst_excess = excess;
  }
  if (worst < 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << wrong << " of " << actual.size() << " elements are wrong, the worst at "
                                       << index_of(actual.shape, worst) << ": " << actual[worst] << ", expected "
                                       << expected[worst] << " within "
                                       << tolerance * (std::abs(expected[worst]) + scale) << " (" << worst_excess
                                       << " times that; shape " << actual.shape.str() << ")";
}

::testing::AssertionResult identical(const Array& actual, const Array& expected) { return close(actual, expected, 0); }

}  // namespace dnn::test
