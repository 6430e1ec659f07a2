// The activations.
#include "dnn/ops/activation.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

DType fractional(DType type) { return is_floating(type) ? type : DType::float32; }

Row gelu_row() {
  Row row = unary(
      "gelu", [](const Tensor& x) { return gelu(x); },
      [](double x) { return x * std::erfc(-x / std::numbers::sqrt2) / 2; });
  for (Sample& sample : unary(
                            "gelu", [](const Tensor& x) { return gelu(x, GeluForm::tanh); },
                            [](double x) {
                              return x / 2 *
                                     (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
                            })
                            .samples) {
    sample.label = "tanh " + sample.label;
    row.sample(std::move(sample));
  }
  // 1 + erf(x) loses digits left of 0, as in PyTorch, and all at the -6 of the harness's integers. Two terms of the
  // derivative cancel each other there.
  return row.with_integers({DType::uint8}).result(fractional).within(16, 32).transparent();
}

Row softplus_row() {
  Row row = unary(
      "softplus", [](const Tensor& x) { return softplus(x); }, [](double x) { return std::log1p(std::exp(x)); }, -4, 4);
  // 2 x > 3 is beyond the threshold; the two branches differ by little there.
  for (Sample& sample : unary(
                            "softplus", [](const Tensor& x) { return softplus(x, {.beta = 2, .threshold = 3}); },
                            [](double x) { return 2 * x > 3 ? x : std::log1p(std::exp(2 * x)) / 2; }, -2, 1.4)
                            .samples) {
    sample.label = "beta " + sample.label;
    row.sample(std::move(sample));
  }
  row.sample({.label = "beyond the threshold",
              .inputs = {Input::of({4}, {1.6, 2, 100, -100})},
              .function = [](const Args& x) { return softplus(x[0], {.beta = 2, .threshold = 3}); },
              .reference =
                  [](const std::vector<Array>& x) {
                    return map(x[0], [](double v) { return 2 * v > 3 ? v : std::log1p(std::exp(2 * v)) / 2; });
                  }});
  return row.with_integers({}).within(4, 12).transparent();
}

Row prelu_row() {
  Row row{.operation = "prelu"};
  const auto add = [&](const Shape& x, const Shape& weight) {
    row.sample({.label = x.str() + " by " + weight.str(),
                .inputs = {Input(x), Input(weight).parameter()},
                .function = [](const Args& a) { return prelu(a[0], a[1]); },
                .reference =
                    [](const std::vector<Array>& a) {
                      Array y = a[0];
                      const int64_t channels = a[1].size();
                      int64_t inner = 1;
                      for (int64_t d = 2; d < y.shape.rank(); ++d) inner *= y.shape[d];
                      for (int64_t i = 0; i < y.size(); ++i)
                        if (y[i] <= 0) y[i] *= a[1][channels == 1 ? 0 : i / inner % channels];
                      return y;
                    }});
  };
  add({2, 16, 3, 5}, {16}), add({2, 16, 3, 5}, {1}), add({2, 3, 4, 3}, {3}), add({4, 3}, {3}), add({2, 3, 131}, {3});
  add({131}, {1}), add({}, {1}), add({1}, {1}), add({0, 3}, {3}), add({2, 3}, {});
  return row.within(2, 8);
}

const Rows rows{
    unary(
        "relu", [](const Tensor& x) { return relu(x); }, [](double x) { return x > 0 ? x : 0; })
        .with_integers()
        .transparent(),
    unary(
        "sigmoid", [](const Tensor& x) { return sigmoid(x); }, [](double x) { return 1 / (1 + std::exp(-x)); }, -4, 4)
        .with_integers()
        .result(fractional)
        .within(2, 12)
        .transparent(),
    unary(
        "silu", [](const Tensor& x) { return silu(x); }, [](double x) { return x / (1 + std::exp(-x)); }, -4, 4)
        .with_integers()
        .result(fractional)
        .within(2, 12)
        .transparent(),
    unary(
        "relu6", [](const Tensor& x) { return relu6(x); }, [](double x) { return std::min(std::max(x, 0.0), 6.0); }, -4,
        9)
        .with_integers()
        .transparent(),
    unary(
        "leaky_relu", [](const Tensor& x) { return leaky_relu(x, 0.1); }, [](double x) { return x > 0 ? x : 0.1 * x; })
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "elu", [](const Tensor& x) { return elu(x, 1.5); }, [](double x) { return x > 0 ? x : 1.5 * std::expm1(x); })
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "selu", [](const Tensor& x) { return selu(x); },
        [](double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * std::expm1(x)); })
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "logsigmoid", [](const Tensor& x) { return logsigmoid(x); },
        [](double x) { return -std::log(1 + std::exp(-x)); }, -4, 4)
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "hardsigmoid", [](const Tensor& x) { return hardsigmoid(x); },
        [](double x) { return std::min(std::max(x + 3, 0.0), 6.0) / 6; }, -5, 5)
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "hardswish", [](const Tensor& x) { return hardswish(x); },
        [](double x) { return x * std::min(std::max(x + 3, 0.0), 6.0) / 6; }, -5, 5)
        .with_integers()
        .result(fractional)
        .within(4, 8)
        .transparent(),
    unary(
        "mish", [](const Tensor& x) { return mish(x); },
        [](double x) { return x * std::tanh(std::log(1 + std::exp(x))); }, -4, 4)
        .with_integers()
        .result(fractional)
        .within(2, 12)
        .transparent(),
    gelu_row(),
    softplus_row(),
    prelu_row(),
};

}  // namespace
}  // namespace dnn::test
