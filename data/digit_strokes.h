// How digits are written: for each digit several ways, each a few strokes of a pen. x goes to the right, y down, a
// digit is about 0.6 wide and 1 high.
#pragma once

#include <vector>

namespace dnn::detail {

struct Point {
  double x, y;
};

// A line through points: with corners, or smooth.
struct Stroke {
  enum Kind { corners, smooth } kind;
  std::vector<Point> points;
};

// The ways to write a digit, each a list of strokes.
const std::vector<std::vector<Stroke>>& ways_to_write(int digit);

}  // namespace dnn::detail
