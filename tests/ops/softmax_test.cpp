// Softmax and its logarithm.
#include "dnn/ops/softmax.h"

#include <cmath>

#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

Array reference(const Array& x, int64_t dim, bool logarithm) {
  Array y(x.shape);
  const int64_t along = dim < 0 ? dim + x.shape.rank() : dim;
  for_each_index(x.shape, [&](const Shape& index) {
    double total = 0;
    Shape other = index;
    for (int64_t i = 0; i < (x.shape.rank() == 0 ? 1 : x.shape[along]); ++i) {
      if (x.shape.rank() > 0) other[along] = i;
      total += std::exp(x.at(other));
    }
    y.at(index) = logarithm ? x.at(index) - std::log(total) : std::exp(x.at(index)) / total;
  });
  return y;
}

Row row(const std::string& name, Tensor (*f)(const Tensor&, int64_t), bool logarithm) {
  Row result{.operation = name};
  struct Case {
    Shape shape;
    int64_t dim;
  };
  for (const Case& c : {Case{{4, 10}, -1}, Case{{4, 10}, 0}, Case{{2, 5, 3}, 1}, Case{{2, 16, 3, 2}, 1},
                        Case{{2, 133}, 1}, Case{{1, 1}, 1}, Case{{}, 0}, Case{{0, 3}, 1}, Case{{3, 0}, 1}})
    result.sample({.label = c.shape.str() + " over " + std::to_string(c.dim),
                   .inputs = {Input(c.shape, -4, 4)},
                   .function = [=](const Args& x) { return f(x[0], c.dim); },
                   .reference = [=](const std::vector<Array>& x) { return reference(x[0], c.dim, logarithm); }});
  return result.within(4, 10);
}

const Rows rows{row("softmax", softmax, false), row("log_softmax", log_softmax, true)};

}  // namespace
}  // namespace dnn::test
