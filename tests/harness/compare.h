// Comparing arrays within a tolerance.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/harness/array.h"

namespace dnn::test {

// Elements may differ by `tolerance` times (the expected element + the root mean square of all, or `least` if that is
// larger: where terms cancel, it says how large they were). NaN and infinities must stand in the same places.
::testing::AssertionResult close(const Array& actual, const Array& expected, double tolerance, double least = 0);

// The same bits, NaN being equal to NaN.
::testing::AssertionResult identical(const Array& actual, const Array& expected);

}  // namespace dnn::test
