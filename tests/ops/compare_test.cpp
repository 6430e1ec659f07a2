// Predicates and the choice by condition.
#include "dnn/ops/compare.h"

#include <cmath>

#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

const std::vector<DType> every_integer{DType::int64, DType::int32, DType::uint8, DType::boolean};
DType answers(DType) { return DType::boolean; }

Row comparison(const std::string& name, const std::function<Tensor(const Tensor&, const Tensor&)>& f,
               const std::function<Tensor(const Tensor&)>& with_one, const std::function<bool(double, double)>& holds) {
  const auto reference = [holds](double a, double b) { return holds(a, b) ? 1.0 : 0.0; };
  Row row = binary(name, f, reference);
  row.sample({.label = "equals",
              .inputs = {Input::of({8}, {0, -0.0, 1, 2, -1, 0, 3, 5}), Input::of({8}, {0, 0.0, 1, -2, 1, 3, 1, 5})},
              .function = [f](const Args& x) { return f(x[0], x[1]); },
              .reference = [reference](const std::vector<Array>& x) { return map(x[0], x[1], reference); }});
  if (with_one)
    row.sample({.label = "with a number",
                .inputs = {Input::of({5}, {0, 1, 2, -1, 1})},
                .function = [with_one](const Args& x) { return with_one(x[0]); },
                .reference =
                    [reference](const std::vector<Array>& x) {
                      return map(x[0], [&](double a) { return reference(a, 1); });
                    }});
  return row.with_integers(every_integer).result(answers).no_gradient();
}

Row question(const std::string& name, Tensor (*f)(const Tensor&), const std::function<bool(double)>& holds) {
  const auto reference = [holds](double x) { return holds(x) ? 1.0 : 0.0; };
  Row row = unary(name, f, reference);
  row.sample({.label = "zeros",
              .inputs = {Input::of({4}, {0, -0.0, 1, -3})},
              .function = [f](const Args& x) { return f(x[0]); },
              .reference = [reference](const std::vector<Array>& x) { return map(x[0], reference); }});
  return row.with_integers(every_integer).result(answers).no_gradient();
}

Array chosen(const Array& condition, const Array& a, const Array& b) {
  const Array masked = map(condition, a, [](double c, double x) { return c != 0 ? x : 0; });
  const Array rest = map(condition, b, [](double c, double x) { return c != 0 ? 0 : x; });
  return map(masked, rest, [](double x, double y) { return x + y; });
}

Input condition(const Shape& shape) { return Input(shape, -1, 2).typed(DType::boolean); }

Row where_row() {
  Row row{.operation = "where"};
  const auto add = [&](const Shape& c, const Shape& a, const Shape& b) {
    row.sample({.label = c.str() + " " + a.str() + " " + b.str(),
                .inputs = {condition(c), Input(a), Input(b)},
                .function = [](const Args& x) { return where(x[0], x[1], x[2]); },
                .reference = [](const std::vector<Array>& x) { return chosen(x[0], x[1], x[2]); }});
  };
  add({3, 5}, {3, 5}, {3, 5}), add({5}, {3, 5}, {3, 1}), add({3, 1}, {5}, {}),
      add({2, 16, 3, 5}, {2, 16, 3, 5}, {16, 1, 1});
  add({2, 16, 3, 5}, {2, 16, 3, 5}, {2, 16, 3, 5}), add({131}, {131}, {1}), add({}, {}, {}), add({1}, {1}, {1});
  add({0}, {0}, {0}), add({2, 1}, {}, {0});
  row.sample({.label = "a number for b",
              .inputs = {condition({3, 5}), Input({3, 5})},
              .function = [](const Args& x) { return where(x[0], x[1], 3); },
              .reference = [](const std::vector<Array>& x) { return chosen(x[0], x[1], Array({}, 3)); }});
  row.sample({.label = "a number for a",
              .inputs = {condition({3, 5}), Input({5})},
              .function = [](const Args& x) { return where(x[0], 3, x[1]); },
              .reference = [](const std::vector<Array>& x) { return chosen(x[0], Array({}, 3), x[1]); }});
  return row.with_integers().within(2, 16);  // a gradient sums up to 131 numbers
}

Row masked_fill_row() {
  Row row{.operation = "masked_fill"};
  const auto add = [&](const Shape& x, const Shape& mask) {
    row.sample({.label = x.str() + " by " + mask.str(),
                .inputs = {Input(x), condition(mask)},
                .function = [](const Args& a) { return masked_fill(a[0], a[1], 7); },
                .reference = [](const std::vector<Array>& a) { return chosen(a[1], Array({}, 7), a[0]); }});
  };
  add({3, 5}, {3, 5}), add({3, 5}, {5}), add({2, 16, 3, 5}, {2, 1, 3, 5}), add({1}, {2, 3}), add({}, {}), add({0}, {1});
  return row.with_integers();
}

const Rows rows{
    comparison(
        "eq", [](const Tensor& a, const Tensor& b) { return eq(a, b); }, [](const Tensor& x) { return eq(x, 1); },
        [](double a, double b) { return a == b; }),
    comparison(
        "ne", [](const Tensor& a, const Tensor& b) { return ne(a, b); }, [](const Tensor& x) { return ne(x, 1); },
        [](double a, double b) { return a != b; }),
    comparison(
        "lt", [](const Tensor& a, const Tensor& b) { return lt(a, b); }, [](const Tensor& x) { return lt(x, 1); },
        [](double a, double b) { return a < b; }),
    comparison(
        "le", [](const Tensor& a, const Tensor& b) { return le(a, b); }, [](const Tensor& x) { return le(x, 1); },
        [](double a, double b) { return a <= b; }),
    comparison(
        "gt", [](const Tensor& a, const Tensor& b) { return gt(a, b); }, [](const Tensor& x) { return gt(x, 1); },
        [](double a, double b) { return a > b; }),
    comparison(
        "ge", [](const Tensor& a, const Tensor& b) { return ge(a, b); }, [](const Tensor& x) { return ge(x, 1); },
        [](double a, double b) { return a >= b; }),
    comparison(
        "logical_and", [](const Tensor& a, const Tensor& b) { return logical_and(a, b); }, {},
        [](double a, double b) { return a != 0 && b != 0; }),
    comparison(
        "logical_or", [](const Tensor& a, const Tensor& b) { return logical_or(a, b); }, {},
        [](double a, double b) { return a != 0 || b != 0; }),
    comparison(
        "logical_xor", [](const Tensor& a, const Tensor& b) { return logical_xor(a, b); }, {},
        [](double a, double b) { return (a != 0) != (b != 0); }),
    question("logical_not", logical_not, [](double x) { return x == 0; }),
    question("isnan", isnan, [](double x) { return std::isnan(x); }),
    question("isinf", isinf, [](double x) { return std::isinf(x); }),
    question("isfinite", isfinite, [](double x) { return std::isfinite(x); }),
    where_row(),
    masked_fill_row(),
};

}  // namespace
}  // namespace dnn::test
