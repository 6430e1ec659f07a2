// What nobody writes on purpose: odd shapes, views of views, shared operands, many dimensions, long rows.
#include <gmock/gmock.h>

#include <cmath>

#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "tests/harness/compare.h"
#include "tests/harness/op_row.h"
#include "tests/harness/tensors.h"

namespace dnn::test {
namespace {

using ::testing::ElementsAre;

const TensorOptions options{.device = table_devices().front()};

Tensor counting(const Shape& shape) {
  return arange(0, shape.numel(), 1, {.dtype = DType::float32, .device = options.device}).reshape(shape);
}

TEST(Adversarial, EightDimensions) {
  const Shape shape{2, 1, 3, 1, 2, 1, 2, 2};
  const Tensor x = counting(shape).clone().set_requires_grad();
  Tensor y = x.transpose(0, 7).transpose(2, 4);
  EXPECT_EQ(sum(y).item(), 48 * 47 / 2);
  EXPECT_EQ(sum(y, {.dims = {0, 2, 4, 6}}).shape(), (Shape{1, 1, 1, 2}));
  EXPECT_EQ(max(y + y, {.dims = {7}, .keepdim = true}).shape().rank(), 8);
  sum(square(y) * counting({2})).backward();
  // y[..., j] is x[j, ...]: the last dimension of y is the first of x.
  Array expected = map(to_array(x), [](double v) { return 2 * v * (v >= 24 ? 1 : 0); });
  EXPECT_TRUE(close(to_array(x.grad()), expected, 1e-6));
}

TEST(Adversarial, ReductionsOverScatteredDimensions) {
  const Shape shape{2, 3, 2, 3, 2};
  const Tensor x = counting(shape).clone().set_requires_grad();
  const Tensor y = max(x, {.dims = {0, 2, 4}});
  EXPECT_EQ(y.shape(), (Shape{3, 3}));
  y.backward(ones_like(y));
  // The largest of each group stands at index 1 of each reduced dimension.
  Array expected(shape);
  for_each_index(shape, [&](const Shape& at) { expected.at(at) = at[0] == 1 && at[2] == 1 && at[4] == 1; });
  EXPECT_TRUE(identical(to_array(x.grad()), expected));
}

TEST(Adversarial, StridedEverywhere) {
  const Tensor base = counting({6, 8}).clone().set_requires_grad();
  const Tensor a = base.slice(0, 0, 6, 2).t();             // [8, 3]
  const Tensor b = base.slice(1, 1, 8, 3).slice(0, 3, 6);  // [3, 3]
  const Tensor y = matmul(a, b);
  EXPECT_EQ(y.shape(), (Shape{8, 3}));
  Array expected(Shape{8, 3});
  const Array v = to_array(base);
  for_each_index(expected.shape, [&](const Shape& at) {
    for (int64_t k = 0; k < 3; ++k) expected.at(at) += v(2 * k, at[0]) * v(3 + k, 1 + 3 * at[1]);
  });
  EXPECT_TRUE(close(to_array(y), expected, 1e-6));
  y.sum().backward();
  Array gradient(Shape{6, 8});
  for_each_index(expected.shape, [&](const Shape& at) {
    for (int64_t k = 0; k < 3; ++k) {
      gradient(2 * k, at[0]) += v(3 + k, 1 + 3 * at[1]);
      gradient(3 + k, 1 + 3 * at[1]) += v(2 * k, at[0]);
    }
  });
  EXPECT_TRUE(close(to_array(base.grad()), gradient, 1e-6));
}

TEST(Adversarial, OneLeafInEveryRole) {
  // Input, weight, bias and addend are views of one tensor.
  const Tensor w = (counting({3, 3}) * 0.1).detach().set_requires_grad();
  const Tensor y = linear(w, w.t(), w[1], {.add = w});
  y.sum().backward();
  const Array v = to_array(w);
  Array gradient(Shape{3, 3}, 1);                        // as the addend
  for (int64_t j = 0; j < 3; ++j) gradient(1, j) += 3;   // as the bias
  for_each_index(Shape{3, 3, 3}, [&](const Shape& at) {  // as x [i, k] and weight [k, j]
    gradient(at[0], at[1]) += v(at[1], at[2]);
    gradient(at[1], at[2]) += v(at[0], at[1]);
  });
  EXPECT_TRUE(close(to_array(w.grad()), gradient, 1e-5));
}

TEST(Adversarial, OneTensorAsWeightAndBiasOfBatchNorm) {
  const Tensor x = (counting({4, 3}) * counting({4, 3})).detach().set_requires_grad();
  const Tensor both = ones({3}, options).set_requires_grad();
  const Tensor weight = ones({3}, options).set_requires_grad(), bias = ones({3}, options).set_requires_grad();
  const Tensor r = counting({4, 3});
  (batch_norm(x, both, both, {}, {}) * r).sum().backward();
  (batch_norm(x, weight, bias, {}, {}) * r).sum().backward();
  EXPECT_TRUE(close(to_array(both.grad()),
                    map(to_array(weight.grad()), to_array(bias.grad()), [](double a, double b) { return a + b; }),
                    1e-5));
}

TEST(Adversarial, TheAddendIsTheInput) {
  const Tensor x = randn({2, 4, 3, 3}).to(options.device).detach().set_requires_grad();
  const Tensor weight = ones({4}, options), bias = zeros({4}, options);
  const Tensor r = counting({2, 4, 3, 3});
  (batch_norm(x, weight, bias, {}, {}, {.activation = Activation::relu, .add = x}) * r).sum().backward();
  const Array fused = to_array(x.grad());
  Tensor(x).zero_grad();
  (relu(batch_norm(x, weight, bias, {}, {}) + x) * r).sum().backward();
  EXPECT_TRUE(close(fused, to_array(x.grad()), 1e-5));
}

TEST(Adversarial, TheSameTensorManyTimesInCat) {
  const Tensor x = counting({2, 2}).clone().set_requires_grad();
  const Tensor y = cat({x, x, x.t(), x}, 1);
  EXPECT_EQ(y.shape(), (Shape{2, 8}));
  (y * counting({8})).sum().backward();
  EXPECT_TRUE(
      identical(to_array(x.grad()), Array({2, 2}, {0 + 2 + 4 + 6, 1 + 3 + 4 + 7, 0 + 2 + 5 + 6, 1 + 3 + 5 + 7})));
}

TEST(Adversarial, AnEmptyBatchGoesThroughANetwork) {
  const Tensor x = zeros({0, 3, 8, 8}, options);
  const Tensor w = ones({4, 3, 3, 3}, options).set_requires_grad(), b = ones({4}, options).set_requires_grad();
  const Tensor v = ones({5, 36}, options).set_requires_grad();
  const Tensor labels = zeros({0}, {.dtype = DType::int64, .device = options.device});
  const Tensor y = linear(max_pool2d(relu(conv2d(x, w, b))).flatten(), v);
  EXPECT_EQ(y.shape(), (Shape{0, 5}));
  cross_entropy(y, labels, {.reduction = Reduction::sum}).backward();
  for (const Tensor& p : {w, b, v})
    for (double g : to_array(p.grad()).values) EXPECT_EQ(g, 0);
  EXPECT_TRUE(std::isnan(cross_entropy(y, labels).item()));
}

TEST(Adversarial, ProductsOverNothingAreZero) {
  const Tensor a = zeros({3, 0}, options).set_requires_grad(), b = zeros({0, 2}, options).set_requires_grad();
  const Tensor y = matmul(a, b);
  EXPECT_TRUE(identical(to_array(y), Array(Shape{3, 2})));
  y.sum().backward();
  EXPECT_EQ(a.grad().shape(), (Shape{3, 0}));
  EXPECT_EQ(b.grad().shape(), (Shape{0, 2}));
}

TEST(Adversarial, LongThinAndShortWide) {
  const int64_t n = many(100003);
  for (const Shape& shape : {Shape{1, n}, Shape{n, 1}, Shape{n / 2, 2}, Shape{2, n / 2}}) {
    const Tensor x = (counting(shape) * 1e-5).detach().set_requires_grad();
    for (const int64_t dim : {0, 1}) {
      const Tensor y = softmax(x, dim);
      EXPECT_NEAR(sum(y).item() / static_cast<double>(shape[1 - dim]), 1, 1e-4) << shape.str() << " over " << dim;
      EXPECT_EQ(sum(x, {.dims = {dim}}).numel(), shape[1 - dim]);
      EXPECT_EQ(to_array(argmax(x, dim)).values.back(), static_cast<double>(shape[dim] - 1));
    }
    sum(square(x)).backward();
    EXPECT_TRUE(close(to_array(x.grad()), map(to_array(x), [](double v) { return 2 * v; }), 1e-6));
  }
}

TEST(Adversarial, BroadcastGradientsOfManyRows) {
  const int64_t n = many(70000);
  // A bias whose gradient is the sum over very many rows.
  const Tensor bias = zeros({3}, options).set_requires_grad();
  (ones({n, 3}, options) + bias).sum().backward();
  EXPECT_TRUE(identical(to_array(bias.grad()), Array({3}, std::vector<double>(3, static_cast<double>(n)))));
  const Tensor column = zeros({n, 1}, options).set_requires_grad();
  (ones({n, 3}, options) * column).sum().backward();
  EXPECT_EQ(sum(column.grad()).item(), 3 * n);
}

TEST(Adversarial, PoolingASingleRowWithABorder) {
  const Tensor x = counting({1, 1, 1, 5}).clone().set_requires_grad();
  const Tensor y = max_pool2d(x, {.kernel = 2, .stride = 1, .padding = 1});
  EXPECT_TRUE(identical(to_array(y), Array({1, 1, 2, 6}, {0, 1, 2, 3, 4, 4, 0, 1, 2, 3, 4, 4})));
  y.sum().backward();
  EXPECT_TRUE(identical(to_array(x.grad()), Array({1, 1, 1, 5}, {2, 2, 2, 2, 4})));
}

TEST(Adversarial, ConvolutionOfAnImageWithoutRows) {
  const Tensor x = zeros({1, 2, 0, 4}, options), w = ones({3, 2, 3, 3}, options), b = ones({3}, options);
  // With enough border PyTorch, too, computes on an image of zeros alone.
  const Tensor y = conv2d(x, w, b, {.padding = 2});
  EXPECT_EQ(y.shape(), (Shape{1, 3, 2, 6}));
  EXPECT_TRUE(identical(to_array(y), Array(y.shape(), 1)));
}

TEST(Adversarial, ASeedGivesOneMaskInEveryLayout) {
  const Tensor x = ones({2, 16, 3, 5}, options);
  manual_seed(3);
  const Array plain = to_array(dropout(x));
  for (const auto layout : {detail::Layout::channels_last, detail::Layout::blocked8, detail::Layout::blocked16}) {
    if (!options.device.is_cpu() && layout != detail::Layout::channels_last) continue;
    manual_seed(3);
    EXPECT_TRUE(identical(to_array(dropout(with_layout(x, layout))), plain)) << name_of(layout);
  }
}

TEST(Adversarial, AGradientOfZeroStrides) {
  // The upstream gradient of a sum repeats one number; every closure must bear it.
  const Tensor x = counting({2, 16, 2, 2}).clone().set_requires_grad();
  const Tensor upstream = full({1}, 2, options).expand({2, 16, 2, 2});
  for (const auto& f : std::vector<Tensor (*)(const Tensor&)>{relu, tanh, square, neg}) {
    Tensor(x).zero_grad();
    const Tensor y = f(x);
    y.backward(upstream);
    const Array strided = to_array(x.grad());
    Tensor(x).zero_grad();
    f(x).backward(upstream.contiguous());
    EXPECT_TRUE(identical(strided, to_array(x.grad())));
  }
}

}  // namespace
}  // namespace dnn::test
