// Element-wise operations, their edge cases, type promotion and factories against PyTorch; pointwise.py has the same
// cases.
#include <array>
#include <cmath>

#include "dnn/error.h"
#include "dnn/layers.h"
#include "dnn/ops.h"
#include "tests/torch/vectors.h"

namespace dnn::test {
namespace {

const TorchInput wide = R({3, 7}, -5, 5), wider = R({3, 7}, -8, 8), positive = R({2, 3, 4}, 0.2, 3),
                 whole = I({4, 5}, -2, 3);

const TorchCases elementary_cases{"pointwise",
                                  {
                                      {"expm1", {wide}, [](const Xs& x) { return expm1(x[0]); }},
                                      {"sin", {wide}, [](const Xs& x) { return sin(x[0]); }},
                                      {"cos", {wide}, [](const Xs& x) { return cos(x[0]); }},
                                      {"erf", {wide}, [](const Xs& x) { return erf(x[0]); }},
                                      {"sign", {wide}, [](const Xs& x) { return sign(x[0]); }},
                                      {"floor", {wide}, [](const Xs& x) { return floor(x[0]); }},
                                      {"ceil", {wide}, [](const Xs& x) { return ceil(x[0]); }},
                                      {"round", {wide}, [](const Xs& x) { return round(x[0]); }},
                                      {"log1p", {R({3, 7}, -0.9, 4)}, [](const Xs& x) { return log1p(x[0]); }},
                                      {"rsqrt", {R({3, 7}, 0.1, 4)}, [](const Xs& x) { return rsqrt(x[0]); }},
                                      {"reciprocal", {R({3, 7}, 0.1, 4)}, [](const Xs& x) { return reciprocal(x[0]); }},
                                  }};

const TorchCases activation_cases{
    "pointwise",
    {
        {"relu6", {wider}, [](const Xs& x) { return relu6(x[0]); }},
        {"selu", {wider}, [](const Xs& x) { return selu(x[0]); }},
        {"logsigmoid", {wider}, [](const Xs& x) { return logsigmoid(x[0]); }},
        {"hardsigmoid", {wider}, [](const Xs& x) { return hardsigmoid(x[0]); }},
        {"hardswish", {wider}, [](const Xs& x) { return hardswish(x[0]); }},
        {"mish", {wider}, [](const Xs& x) { return mish(x[0]); }},
        {"gelu", {wider}, [](const Xs& x) { return gelu(x[0]); }},
        {"softplus", {wider}, [](const Xs& x) { return softplus(x[0]); }},
        {"leaky_relu", {wide}, [](const Xs& x) { return leaky_relu(x[0], 0.2); }},
        {"elu", {wide}, [](const Xs& x) { return elu(x[0], 1.5); }},
        {"gelu.tanh", {wide}, [](const Xs& x) { return gelu(x[0], GeluForm::tanh); }},
        {"softplus.options", {wide}, [](const Xs& x) { return softplus(x[0], {.beta = 2, .threshold = 3}); }},
        {"prelu", {R({2, 3, 4, 2}), R({3})}, [](const Xs& x) { return prelu(x[0], x[1]); }},
    }};

const TorchCases binary_cases{
    "pointwise",
    {
        {"pow", {positive, R({3, 1})}, [](const Xs& x) { return pow(x[0], x[1]); }},
        {"pow.2", {positive}, [](const Xs& x) { return pow(x[0], 2); }},
        {"pow.3", {positive}, [](const Xs& x) { return pow(x[0], 3); }},
        {"pow.0.5", {positive}, [](const Xs& x) { return pow(x[0], 0.5); }},
        {"pow.-1", {positive}, [](const Xs& x) { return pow(x[0], -1); }},
        {"pow.0", {positive}, [](const Xs& x) { return pow(x[0], 0); }},
        {"pow.1.5", {positive}, [](const Xs& x) { return pow(x[0], 1.5); }},
        {"pow.-2", {positive}, [](const Xs& x) { return pow(x[0], -2); }},
        {"pow.negative_base", {wide}, [](const Xs& x) { return pow(x[0], 3); }},
        {"pow.base", {wide}, [](const Xs& x) { return pow(1.5, x[0]); }},
        {"maximum", {R({2, 3, 4}), R({3, 1})}, [](const Xs& x) { return maximum(x[0], x[1]); }},
        {"minimum", {R({2, 3, 4}), R({3, 1})}, [](const Xs& x) { return minimum(x[0], x[1]); }},
        {"remainder", {wide, R({7}, 0.5, 2)}, [](const Xs& x) { return remainder(x[0], x[1]); }},
        {"remainder.negative", {wide, R({7}, -2, -0.5)}, [](const Xs& x) { return remainder(x[0], x[1]); }},
        {"remainder.integers", {I({40}, -20, 20), I({40}, -5, -1)}, [](const Xs& x) { return remainder(x[0], x[1]); }},
        {"floor_divide", {wide, R({7}, 0.5, 2)}, [](const Xs& x) { return floor_divide(x[0], x[1]); }},
        {"floor_divide.integers",
         {I({40}, -20, 20), I({40}, 1, 5)},
         [](const Xs& x) { return floor_divide(x[0], x[1]); }},
        {"atan2", {R({2, 3, 4}), R({3, 1})}, [](const Xs& x) { return atan2(x[0], x[1]); }},
    }};

const TorchCases predicate_cases{
    "pointwise",
    {
        {"eq", {whole, I({5}, -2, 3)}, [](const Xs& x) { return eq(x[0], x[1]); }},
        {"ne", {whole, I({5}, -2, 3)}, [](const Xs& x) { return ne(x[0], x[1]); }},
        {"lt", {whole, I({5}, -2, 3)}, [](const Xs& x) { return lt(x[0], x[1]); }},
        {"le", {whole, I({5}, -2, 3)}, [](const Xs& x) { return le(x[0], x[1]); }},
        {"gt", {whole, I({5}, -2, 3)}, [](const Xs& x) { return gt(x[0], x[1]); }},
        {"ge", {whole, I({5}, -2, 3)}, [](const Xs& x) { return ge(x[0], x[1]); }},
        {"logical_and", {whole, I({5}, -2, 3)}, [](const Xs& x) { return logical_and(x[0], x[1]); }},
        {"logical_or", {whole, I({5}, -2, 3)}, [](const Xs& x) { return logical_or(x[0], x[1]); }},
        {"logical_xor", {whole, I({5}, -2, 3)}, [](const Xs& x) { return logical_xor(x[0], x[1]); }},
        {"logical_not", {whole}, [](const Xs& x) { return logical_not(x[0]); }},
        {"where", {I({4, 1}, -2, 3), R({4, 5}), R({5})}, [](const Xs& x) { return where(x[0] > 0, x[1], x[2]); }},
        {"where.number", {whole, R({4, 5})}, [](const Xs& x) { return where(x[0] > 0, x[1], 0.5); }},
        {"masked_fill", {R({4, 5}), I({4, 1}, -2, 3)}, [](const Xs& x) { return masked_fill(x[0], x[1] > 0, -3); }},
    }};

const TorchCases factory_cases{
    "pointwise",
    {
        {"linspace", {}, [](const Xs&) { return linspace(-1, 2.5, 8, {.dtype = DType::float64}); }},
        {"linspace.integers", {}, [](const Xs&) { return linspace(0, 10, 4, {.dtype = DType::int64}); }},
        {"eye", {}, [](const Xs&) { return eye(3, 4); }},
        {"one_hot", {I({2, 3}, 0, 5)}, [](const Xs& x) { return one_hot(x[0]); }},
    }};

// A case whose inputs are these numbers.
using Numbers = std::vector<double>;
TorchCase listed(const std::string& name, const std::vector<Numbers>& inputs, std::function<Tensor(const Xs&)> f) {
  return {.name = name, .inputs = {}, .function = std::move(f), .listed = inputs};
}

template <Tensor (*f)(const Tensor&)>
Tensor first(const Xs& x) {
  return f(x[0]);
}

const Numbers ends{-INFINITY, -3, 0, 3, 6, INFINITY}, special{NAN, INFINITY, -INFINITY, 0, -0.0, 1};
const auto larger = [](const Xs& x) { return maximum(x[0], x[1]); };
const auto smaller = [](const Xs& x) { return minimum(x[0], x[1]); };

const TorchCases edge_cases{"pointwise",
                            {
                                listed("round.halves", {{-2.5, -1.5, -0.5, 0.5, 1.5, 2.5}}, first<round>),
                                listed("relu6.ends", {ends}, first<relu6>),
                                listed("hardsigmoid.ends", {ends}, first<hardsigmoid>),
                                listed("hardswish.ends", {{-4, -3, 0, 3, 4}}, first<hardswish>),
                                listed("selu.ends", {ends}, first<selu>),
                                listed("softplus.ends", {ends}, [](const Xs& x) { return softplus(x[0]); }),
                                listed("pow.edges", {{0, 0, 0, -2, -2, 2, 3}, {0, 2, 0.5, 3, 2, 0, -1}},
                                       [](const Xs& x) { return pow(x[0], x[1]); }),
                                listed("pow.base_zero", {{0, 1, 2.5}}, [](const Xs& x) { return pow(0, x[0]); }),
                                listed("maximum.ties", {{1, 2, 3}, {1, 3, 2}}, larger),
                                listed("minimum.ties", {{1, 2, 3}, {1, 3, 2}}, smaller),
                                listed("maximum.nan", {{NAN, 1, 2}, {1, NAN, 2}}, larger),
                                listed("isnan", {special}, first<isnan>),
                                listed("isinf", {special}, first<isinf>),
                                listed("isfinite", {special}, first<isfinite>),
                                layer_case("PReLU", {R({2, 3, 4})}, [] { return PReLU(); }),
                                layer_case("PReLU.channels", {R({2, 3, 4})}, [] { return PReLU(3); }),
                            }};

// ---- promotion -----------------------------------------------------------------------------------------------------

// The number of the result's type, -1 when the operation refuses the operands.
template <class Call>
double type_of(Call&& call) {
  try {
    return static_cast<double>(call().dtype());
  } catch (const DTypeError&) {
    return -1;
  }
}

const std::array types{DType::float64, DType::float32, DType::float16, DType::bfloat16,
                       DType::int64,   DType::int32,   DType::uint8,   DType::boolean};

// Two vectors, a vector and a scalar, a scalar and a vector, two scalars: each pair of types.
TorchCase promotion(const std::string& name, Tensor (*f)(const Tensor&, const Tensor&)) {
  return {.name = "promotion." + name, .inputs = {}, .function = [f](const Xs&) {
            std::vector<double> table;
            for (const auto& [left, right] : {std::pair<Shape, Shape>{{2}, {2}}, {{2}, {}}, {{}, {2}}, {{}, {}}})
              for (const DType a : types)
                for (const DType b : types)
                  table.push_back(type_of([&] { return f(ones(left, {.dtype = a}), ones(right, {.dtype = b})); }));
            return from_values(table, {4, 8, 8});
          }};
}

// A vector, then a scalar tensor, with a whole number and with a fraction.
TorchCase with_number(const std::string& name, std::function<Tensor(const Tensor&, Scalar)> f) {
  return {.name = "promotion." + name + ".number", .inputs = {}, .function = [f](const Xs&) {
            std::vector<double> table;
            for (const Shape& shape : {Shape{2}, Shape{}})
              for (const DType a : types)
                for (const Scalar& number : {Scalar(2), Scalar(2.5)})
                  table.push_back(type_of([&] { return f(ones(shape, {.dtype = a}), number); }));
            return from_values(table, {2, 8, 2});
          }};
}

Tensor chosen(const Tensor& a, const Tensor& b) { return where(ones({2}, {.dtype = DType::boolean}), a, b); }

const TorchCases promotion_cases{
    "pointwise",
    {
        promotion("add", add),
        promotion("mul", mul),
        promotion("div", div),
        promotion("pow", pow),
        promotion("maximum", maximum),
        promotion("remainder", remainder),
        promotion("floor_divide", floor_divide),
        promotion("atan2", atan2),
        promotion("eq", eq),
        promotion("where", chosen),
        with_number("add", [](const Tensor& x, Scalar n) { return x + n; }),
        with_number("mul", [](const Tensor& x, Scalar n) { return x * n; }),
        with_number("div", [](const Tensor& x, Scalar n) { return x / n; }),
        with_number("pow", [](const Tensor& x, Scalar n) { return pow(x, n); }),
        with_number("rpow", [](const Tensor& x, Scalar n) { return pow(n, x); }),
        with_number("remainder", [](const Tensor& x, Scalar n) { return remainder(x, n); }),
        with_number("floor_divide", [](const Tensor& x, Scalar n) { return floor_divide(x, n); }),
        with_number("eq", [](const Tensor& x, Scalar n) { return x == n; }),
        with_number("where",
                    [](const Tensor& x, Scalar n) { return where(ones({2}, {.dtype = DType::boolean}), x, n); }),
    }};

}  // namespace
}  // namespace dnn::test
