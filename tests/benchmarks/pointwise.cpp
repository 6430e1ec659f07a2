// Element by element: of one tensor, of two, with broadcasting, with a mask.
#include "dnn/ops.h"
#include "tests/benchmarks/bench.h"

namespace dnn::bench {

namespace {

using T = const Tensors&;

Row unary(const std::string& name, Tensor (*operation)(const Tensor&)) {
  return {name, of(vectors(), [operation](T t) { return operation(t[0]); })};
}

Row binary(const std::string& name, Tensor (*operation)(const Tensor&, const Tensor&)) {
  return {name, of(vectors(2), [operation](T t) { return operation(t[0], t[1]); })};
}

// A tensor and a smaller one that is repeated.
template <class Inputs>
Make add_to(const Inputs& inputs) {
  return [inputs](const Place& p) { return Operation{inputs(p), [](T t) { return t[0] + t[1]; }}; };
}

Tensors with_row(const Place& p) { return {p.rows(1024), p.random({1024})}; }
Tensors with_column(const Place& p) {
  const Tensor x = p.rows(1024);
  return {x, p.random({x.size(0), 1})};
}
Tensors with_channels(const Place& p) { return {p.images(64, 28), p.random({64, 1, 1})}; }

Operation masked(const Place& p) {
  const Tensor mask = lt(p.random({p.n}), 0.5);
  return {{p.random({p.n}), p.random({p.n})}, [mask](T t) { return where(mask, t[0], t[1]); }};
}

}  // namespace

Family pointwise() {
  constexpr auto forward = Passes::forward;
  return {
      "pointwise",
      elements,
      {
          unary("relu", relu),
          unary("sigmoid", sigmoid),
          unary("tanh", dnn::tanh),
          unary("exp", dnn::exp),
          unary("log", dnn::log),
          unary("sqrt", dnn::sqrt),
          unary("rsqrt", rsqrt),
          unary("sin", dnn::sin),
          unary("erf", dnn::erf),
          unary("abs", dnn::abs),
          unary("square", square),
          unary("neg", neg),
          {"gelu", of(vectors(), [](T t) { return gelu(t[0]); })},
          {"gelu_tanh", of(vectors(), [](T t) { return gelu(t[0], GeluForm::tanh); })},
          {"clamp", of(vectors(), [](T t) { return clamp(t[0], 0.2, 0.8); })},
          {"mul_number", of(vectors(), [](T t) { return t[0] * 3; })},
          binary("add", add),
          binary("mul", mul),
          binary("div", div),
          binary("pow", pow),
          binary("maximum", maximum),
          {"add_row", add_to(with_row)},
          {"add_column", add_to(with_column)},
          {"add_channels", add_to(with_channels)},
          {"add_native", add_to(natives(64, 28, 2))},
          {"where", masked},
          {"lt", of(vectors(2), [](T t) { return lt(t[0], t[1]); }), forward},
          {"isnan", of(vectors(), [](T t) { return isnan(t[0]); }), forward},
          {"dropout", of(vectors(), [](T t) { return dropout(t[0], {.p = 0.5}); })},
          {"dropout_native", of(natives(64, 28), [](T t) { return dropout(t[0], {.p = 0.5}); })},
      },
  };
}

}  // namespace dnn::bench
