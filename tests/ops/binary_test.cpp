// The element-wise operations of two tensors, and of a tensor with a number.
#include "dnn/ops/binary.h"

#include <algorithm>
#include <cmath>

#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

DType fractional(DType type) { return is_floating(type) ? type : DType::float32; }

// The forms with a number beside a tensor join the row of the operation.
Row with_number(Row row, const std::function<Tensor(const Tensor&)>& f, const std::function<double(double)>& reference,
                const std::string& label, double low = -2, double high = 2) {
  for (Sample& sample : unary(row.operation, f, reference, low, high).samples) {
    sample.label = label + " " + sample.label;
    row.sample(std::move(sample));
  }
  return row;
}

Row add_row() {
  Row row = binary(
      "add", [](const Tensor& a, const Tensor& b) { return add(a, b); }, [](double a, double b) { return a + b; });
  row = with_number(
      row, [](const Tensor& x) { return add(x, 3); }, [](double x) { return x + 3; }, "a number with");
  return row.with_integers().transparent();
}

Row sub_row() {
  Row row = binary(
      "sub", [](const Tensor& a, const Tensor& b) { return sub(a, b); }, [](double a, double b) { return a - b; });
  row = with_number(
      row, [](const Tensor& x) { return sub(x, 3); }, [](double x) { return x - 3; }, "a number from");
  row = with_number(
      row, [](const Tensor& x) { return sub(3, x); }, [](double x) { return 3 - x; }, "from a number");
  return row.with_integers().transparent();
}

Row mul_row() {
  Row row = binary(
      "mul", [](const Tensor& a, const Tensor& b) { return mul(a, b); }, [](double a, double b) { return a * b; });
  row = with_number(
      row, [](const Tensor& x) { return mul(x, 3); }, [](double x) { return x * 3; }, "a number times");
  return row.with_integers().transparent();
}

Row div_row() {
  Row row = binary(
      "div", [](const Tensor& a, const Tensor& b) { return div(a, b); }, [](double a, double b) { return a / b; }, 0.5,
      3);
  row = with_number(
      row, [](const Tensor& x) { return div(x, 3); }, [](double x) { return x / 3; }, "by a number");
  row = with_number(
      row, [](const Tensor& x) { return div(3, x); }, [](double x) { return 3 / x; }, "a number by", 0.5, 3);
  return row.with_integers().result(fractional).transparent();
}

// Moves the left operand into a range.
Row left_between(Row row, double low, double high) {
  for (Sample& sample : row.samples) sample.inputs[0].low = low, sample.inputs[0].high = high;
  return row;
}

Row pow_row() {
  Row row = left_between(binary(
                             "pow", [](const Tensor& a, const Tensor& b) { return pow(a, b); },
                             [](double a, double b) { return std::pow(a, b); }),
                         0.3, 2);
  for (const double exponent : {3.0, 2.0, 0.5, -1.0, 0.0, 1.7})
    row = with_number(
        row, [=](const Tensor& x) { return pow(x, exponent); }, [=](double x) { return std::pow(x, exponent); },
        "to the power of " + std::to_string(exponent), 0.3, 2);
  row = with_number(
      row, [](const Tensor& x) { return pow(1.5, x); }, [](double x) { return std::pow(1.5, x); }, "a number to the");
  row.sample({.label = "negative bases",
              .inputs = {Input::of({5}, {-2, -1.5, -1, 0, 0}), Input::of({5}, {3, 2, -2, 2, 3}).constant()},
              .function = [](const Args& x) { return pow(x[0], x[1]); },
              .reference =
                  [](const std::vector<Array>& x) {
                    return map(x[0], x[1], [](double a, double b) { return std::pow(a, b); });
                  }});
  return row.within(4, 8).transparent();
}

Row maximum_row() {
  return binary(
             "maximum", [](const Tensor& a, const Tensor& b) { return maximum(a, b); },
             [](double a, double b) { return std::max(a, b); })
      .with_integers()
      .transparent();
}

Row minimum_row() {
  return binary(
             "minimum", [](const Tensor& a, const Tensor& b) { return minimum(a, b); },
             [](double a, double b) { return std::min(a, b); })
      .with_integers()
      .transparent();
}

Row remainder_row() {
  const auto reference = [](double a, double b) { return a - b * std::floor(a / b); };
  Row row = binary(
      "remainder", [](const Tensor& a, const Tensor& b) { return remainder(a, b); }, reference, 0.6, 3);
  row = with_number(
      row, [](const Tensor& x) { return remainder(x, 2); }, [](double x) { return x - 2 * std::floor(x / 2); },
      "by a number");
  return row.with_integers();
}

Row floor_divide_row() {
  Row row = binary(
      "floor_divide", [](const Tensor& a, const Tensor& b) { return floor_divide(a, b); },
      [](double a, double b) { return std::floor(a / b); }, 0.6, 3);
  row = with_number(
      row, [](const Tensor& x) { return floor_divide(x, 2); }, [](double x) { return std::floor(x / 2); },
      "by a number");
  return row.with_integers().no_gradient();
}

Row atan2_row() {
  return binary(
             "atan2", [](const Tensor& a, const Tensor& b) { return atan2(a, b); },
             [](double a, double b) { return std::atan2(a, b); }, 0.3, 3)
      .with_integers()
      .result(fractional)
      .within(2, 8)
      .transparent();
}

const Rows rows{add_row(),     sub_row(),     mul_row(),       div_row(),          pow_row(),
                maximum_row(), minimum_row(), remainder_row(), floor_divide_row(), atan2_row()};

}  // namespace
}  // namespace dnn::test
