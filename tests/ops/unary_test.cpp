// The element-wise operations of one tensor.
#include "dnn/ops/unary.h"

#include <algorithm>
#include <cmath>

#include "dnn/ops/binary.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

DType fractional(DType type) { return is_floating(type) ? type : DType::float32; }

const Rows rows{
    unary(
        "neg", [](const Tensor& x) { return neg(x); }, [](double x) { return -x; })
        .with_integers()
        .transparent(),
    unary(
        "abs", [](const Tensor& x) { return abs(x); }, [](double x) { return std::abs(x); })
        .with_integers()
        .transparent(),
    unary(
        "clamp", [](const Tensor& x) { return clamp(x, -1, 1.5); },
        [](double x) { return std::min(std::max(x, -1.0), 1.5); })
        .transparent(),
    unary(
        "exp", [](const Tensor& x) { return exp(x); }, [](double x) { return std::exp(x); })
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "log", [](const Tensor& x) { return log(x); }, [](double x) { return std::log(x); }, 0.1, 4)
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "sqrt", [](const Tensor& x) { return sqrt(x); }, [](double x) { return std::sqrt(x); }, 0.1, 4)
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "square", [](const Tensor& x) { return square(x); }, [](double x) { return x * x; })
        .with_integers()
        .transparent(),
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
        "tanh", [](const Tensor& x) { return tanh(x); }, [](double x) { return std::tanh(x); }, -3, 3)
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "silu", [](const Tensor& x) { return silu(x); }, [](double x) { return x / (1 + std::exp(-x)); }, -4, 4)
        .with_integers()
        .result(fractional)
        .within(2, 12)
        .transparent(),
};

}  // namespace
}  // namespace dnn::test
