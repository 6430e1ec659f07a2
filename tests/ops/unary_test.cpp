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
        "tanh", [](const Tensor& x) { return tanh(x); }, [](double x) { return std::tanh(x); }, -3, 3)
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "log1p", [](const Tensor& x) { return log1p(x); }, [](double x) { return std::log1p(x); }, -0.9, 4)
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "expm1", [](const Tensor& x) { return expm1(x); }, [](double x) { return std::expm1(x); })
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "rsqrt", [](const Tensor& x) { return rsqrt(x); }, [](double x) { return 1 / std::sqrt(x); }, 0.1, 4)
        .with_integers()
        .result(fractional)
        .within(2, 8)
        .transparent(),
    unary(
        "reciprocal", [](const Tensor& x) { return reciprocal(x); }, [](double x) { return 1 / x; }, 0.3, 4)
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "sin", [](const Tensor& x) { return sin(x); }, [](double x) { return std::sin(x); }, -4, 4)
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "cos", [](const Tensor& x) { return cos(x); }, [](double x) { return std::cos(x); }, -4, 4)
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "erf", [](const Tensor& x) { return erf(x); }, [](double x) { return std::erf(x); })
        .with_integers()
        .result(fractional)
        .transparent(),
    unary(
        "sign", [](const Tensor& x) { return sign(x); },
        [](double x) { return static_cast<double>((x > 0) - (x < 0)); })
        .with_integers()
        .transparent(),
    unary(
        "floor", [](const Tensor& x) { return floor(x); }, [](double x) { return std::floor(x); })
        .with_integers()
        .transparent(),
    unary(
        "ceil", [](const Tensor& x) { return ceil(x); }, [](double x) { return std::ceil(x); })
        .with_integers()
        .transparent(),
    unary(
        "round", [](const Tensor& x) { return round(x); }, [](double x) { return std::nearbyint(x); })
        .with_integers()
        .transparent(),
};

}  // namespace
}  // namespace dnn::test
