// The element-wise operations of two tensors, and of a tensor with a number.
#include "dnn/ops/binary.h"

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

const Rows rows{add_row(), sub_row(), mul_row(), div_row()};

}  // namespace
}  // namespace dnn::test
