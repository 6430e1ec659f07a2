// Losses.
#include "dnn/ops/loss.h"

#include <cmath>

#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

const char* text(Reduction reduction) {
  return reduction == Reduction::mean ? "mean" : reduction == Reduction::sum ? "sum" : "none";
}

Array reduced(const Array& losses, Reduction reduction) {
  if (reduction == Reduction::none) return losses;
  Array total{Shape{}};
  for (double loss : losses.values) total[0] += loss;
  if (reduction == Reduction::mean) total[0] /= static_cast<double>(losses.size());
  return total;
}

Row cross_entropy_row() {
  Row row{.operation = "cross_entropy"};
  for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none})
    for (const auto& [n, classes] : {std::pair<int64_t, int64_t>{5, 10}, {3, 131}, {1, 1}, {0, 4}})
      for (const DType labels : {DType::int64, DType::int32})
        row.sample({.label = Shape{n, classes}.str() + " " + text(reduction) + " " + name_of(labels),
                    .inputs = {Input({n, classes}, -4, 4), Input::integers({n}, 0, classes).typed(labels)},
                    .function = [=](const Args& x) { return cross_entropy(x[0], x[1], {.reduction = reduction}); },
                    .reference =
                        [=, n = n, classes = classes](const std::vector<Array>& x) {
                          Array losses(Shape{n});
                          for (int64_t i = 0; i < n; ++i) {
                            double total = 0;
                            for (int64_t j = 0; j < classes; ++j) total += std::exp(x[0](i, j));
                            losses[i] = std::log(total) - x[0](i, x[1][i]);
                          }
                          return reduced(losses, reduction);
                        }});
  return row;
}

Row mse_row() {
  Row row{.operation = "mse_loss"};
  for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none})
    for (const Shape& shape : {Shape{4, 3}, Shape{131}, Shape{}, Shape{1}, Shape{0, 3}, Shape{2, 16, 2, 3}})
      row.sample({.label = shape.str() + " " + text(reduction),
                  .inputs = {Input(shape), Input(shape)},
                  .function = [=](const Args& x) { return mse_loss(x[0], x[1], {.reduction = reduction}); },
                  .reference =
                      [=](const std::vector<Array>& x) {
                        return reduced(map(x[0], x[1], [](double a, double b) { return (a - b) * (a - b); }),
                                       reduction);
                      }});
  return row;
}

const Rows rows{cross_entropy_row(), mse_row()};

}  // namespace
}  // namespace dnn::test
