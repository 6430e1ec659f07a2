// Building rows of the operation table.
#include "tests/harness/op_row.h"

namespace dnn::test {

Input Input::of(const Shape& shape, std::vector<double> values) {
  Input input(shape);
  input.listed = std::move(values);
  return input;
}

Input Input::integers(const Shape& shape, int64_t from, int64_t to) {
  Input input(shape, static_cast<double>(from), static_cast<double>(to));
  return input.typed(DType::int64);
}

Input Input::constant() const {
  Input input = *this;
  input.differentiable = false;
  return input;
}

Input Input::parameter() const {
  Input input = *this;
  input.activation = false;
  return input;
}

Input Input::wide() const {
  Input input = parameter();
  input.statistic = true;
  return input;
}

Input Input::typed(DType type) const {
  Input input = parameter();
  input.dtype = type;
  input.differentiable = differentiable && is_floating(type);
  return input;
}

Row& Row::with_integers(std::vector<DType> types) {
  integers = std::move(types);
  return *this;
}

Row& Row::transparent() {
  hands_layout_on = true;
  return *this;
}

Row& Row::within(double result, double gradient) {
  tolerance = result;
  gradient_tolerance = gradient;
  return *this;
}

Row& Row::without(const std::string& aspect, const std::string& reason) {
  skip[aspect] = reason;
  return *this;
}

Row& Row::result(std::function<DType(DType)> type) {
  result_type = std::move(type);
  return *this;
}

Row& Row::no_gradient() {
  differentiable = false;
  return *this;
}

Row& Row::never_empty(const std::string& reason) {
  no_empty_sample = reason;
  return *this;
}

Row& Row::never_single(const std::string& reason) {
  no_single_sample = reason;
  return *this;
}

Row& Row::sample(Sample another) {
  samples.push_back(std::move(another));
  return *this;
}

Row unary(const std::string& name, const std::function<Tensor(const Tensor&)>& f,
          const std::function<double(double)>& reference, double low, double high) {
  Row row{.operation = name};
  for (const Shape& shape :
       {Shape{3, 5}, Shape{2, 16, 3, 5}, Shape{2, 3, 4, 3}, Shape{131}, Shape{1}, Shape{}, Shape{0}, Shape{2, 0, 3}})
    row.sample({.label = shape.str(),
                .inputs = {Input(shape, low, high)},
                .function = [f](const Args& x) { return f(x[0]); },
                .reference = [reference](const std::vector<Array>& x) { return map(x[0], reference); }});
  return row;
}

Row binary(const std::string& name, const std::function<Tensor(const Tensor&, const Tensor&)>& f,
           const std::function<double(double, double)>& reference, double low, double high) {
  Row row{.operation = name};
  const std::vector<std::pair<Shape, Shape>> shapes{
      {{3, 5}, {3, 5}},                // equal
      {{2, 16, 3, 5}, {2, 16, 3, 5}},  // images in one layout
      {{2, 16, 3, 5}, {16, 1, 1}},     // a number per channel
      {{2, 16, 3, 5}, {2, 16, 1, 1}},  // a number per image and channel
      {{2, 16, 3, 5}, {}},             // a scalar
      {{3, 5}, {5}},                   // a row
      {{3, 5}, {3, 1}},                // a column
      {{4, 1, 3}, {2, 1}},             // both repeat
      {{2}, {3, 4, 2}},                // the left one is shorter
      {{131}, {131}},                  // tails
      {{131}, {1}},
      {{1}, {1}},
      {{}, {}},
      {{}, {2, 3}},
      {{0}, {0}},
      {{1, 3}, {0, 3}},
      {{2, 0, 3}, {3}},
  };
  for (const auto& [a, b] : shapes)
    row.sample({.label = a.str() + " with " + b.str(),
                .inputs = {Input(a), Input(b, low, high)},
                .function = [f](const Args& x) { return f(x[0], x[1]); },
                .reference = [reference](const std::vector<Array>& x) { return map(x[0], x[1], reference); }});
  return row;
}

std::vector<Row>& table() {
  static std::vector<Row> rows;
  return rows;
}

}  // namespace dnn::test
