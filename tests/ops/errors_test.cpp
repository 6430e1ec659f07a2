// Every message of the operations, with its exact text.
#include "tests/harness/errors.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dnn/ops.h"

namespace dnn {
namespace {

const TensorOptions f64{.dtype = DType::float64}, i64{.dtype = DType::int64}, boolean{.dtype = DType::boolean};

TEST(Errors, ElementWise) {
  EXPECT_ERROR(zeros({2, 3}) + zeros({4}), ShapeError,
               "add: shapes [2, 3] and [4] do not broadcast, sizes must be equal or 1 counted from the last dimension");
  EXPECT_ERROR(zeros({2}) * zeros({3}), ShapeError,
               "mul: shapes [2] and [3] do not broadcast, sizes must be equal or 1 counted from the last dimension");
  EXPECT_ERROR(add(Tensor(), zeros({2})), ArgumentError, "add: a is undefined, expected a tensor");
  EXPECT_ERROR(sub(zeros({2}), Tensor()), ArgumentError, "sub: b is undefined, expected a tensor");
  EXPECT_ERROR(sub(zeros({2}, boolean), zeros({2}, boolean)), DTypeError,
               "sub: the input is bool, expected a number type");
  EXPECT_ERROR(neg(zeros({2}, boolean)), DTypeError, "neg: the input is bool, expected a number type");
  EXPECT_ERROR(relu(zeros({2}, boolean)), DTypeError, "relu: the input is bool, expected a number type");
}

TEST(Errors, Activations) {
  EXPECT_ERROR(softplus(zeros({2}), {.beta = 0}), ArgumentError, "softplus: beta is 0, expected a positive number");
  EXPECT_ERROR(prelu(zeros({2, 3}), zeros({2})), ShapeError,
               "prelu: weight [2] does not fit x [2, 3], expected [1] or [3], a number per channel");
  EXPECT_ERROR(prelu(zeros({2, 3}), zeros({3, 1})), ShapeError,
               "prelu: weight [3, 1] does not fit x [2, 3], expected [1] or [3], a number per channel");
  EXPECT_ERROR(prelu(zeros({2, 3}, i64), zeros({1})), DTypeError,
               "prelu: x is int64, expected a floating type (x [2, 3])");
  EXPECT_ERROR(prelu(zeros({2, 3}), zeros({1}, f64)), DTypeError,
               "prelu: weight is float64, x is float32, expected one type (shapes [1], [2, 3])");
}

TEST(Errors, PowersAndDivisions) {
  EXPECT_ERROR(pow(zeros({2}, i64), -1), ArgumentError,
               "pow: the exponent of integers is -1, expected none below 0 (int64 [2])");
  EXPECT_ERROR(pow(zeros({2}, boolean), zeros({2}, boolean)), DTypeError,
               "pow: the input is bool, expected a number type");
  EXPECT_ERROR(remainder(ones({2}, i64), tensor({1, 0}, {2}, i64)), ArgumentError,
               "remainder: 1 of the integer divisors are zero, expected none (a [2], b [2])");
  EXPECT_ERROR(floor_divide(ones({2}, i64), 0), ArgumentError,
               "floor_divide: 1 of the integer divisors are zero, expected none (a [2], b [])");
}

TEST(Errors, Choices) {
  EXPECT_ERROR(eq(zeros({2}), zeros({3})), ShapeError,
               "eq: shapes [2] and [3] do not broadcast, sizes must be equal or 1 counted from the last dimension");
  EXPECT_ERROR(lt(Tensor(), 1), ArgumentError, "number: the tensor beside it is undefined, expected a tensor");
  EXPECT_ERROR(isnan(Tensor()), ArgumentError, "isnan: input is undefined, expected a tensor");
  EXPECT_ERROR(where(zeros({2}), zeros({2}), 1), DTypeError,
               "where: the condition is float32, expected bool (shape [2])");
  EXPECT_ERROR(where(zeros({2}, boolean), zeros({3}), zeros({})), ShapeError,
               "where: shapes [2] and [3] do not broadcast, sizes must be equal or 1 counted from the last dimension");
  EXPECT_ERROR(where(Tensor(), zeros({3}), zeros({})), ArgumentError,
               "where: condition is undefined, expected a tensor");
  EXPECT_ERROR(masked_fill(zeros({2}), zeros({2}), 1), DTypeError,
               "masked_fill: the condition is float32, expected bool (shape [2])");
}

TEST(Errors, Factories) {
  EXPECT_ERROR(eye(-1), ArgumentError, "eye: the sizes are -1 and -1, expected none below 0");
  EXPECT_ERROR(linspace(0, 1, -1), ArgumentError, "linspace: steps is -1, expected none below 0");
  EXPECT_ERROR(randint(3, 3, {2}), ArgumentError, "randint: the limits are 3 and 3, expected low < high");
  EXPECT_ERROR(randint(0, 2, {2}, boolean), DTypeError, "randint: options.dtype is bool, expected a number type");
  EXPECT_ERROR(randperm(-1), ArgumentError, "randperm: n is -1, expected none below 0");
  EXPECT_ERROR(bernoulli(zeros({2}, i64)), DTypeError, "bernoulli: p is int64, expected a floating type (p [2])");
  EXPECT_ERROR(one_hot(tensor({0, 3}, {2}, i64), 3), IndexError,
               "one_hot: index 3 at position 1, expected 0 <= index < 3");
  EXPECT_ERROR(one_hot(tensor({0, -1}, {2}, i64)), IndexError,
               "one_hot: index -1 at position 1, expected 0 <= index < 1");
  EXPECT_ERROR(one_hot(zeros({2})), DTypeError, "one_hot: the indices are float32, expected integers (shape [2])");
  EXPECT_ERROR(one_hot(zeros({0}, i64)), ArgumentError,
               "one_hot: no index tells the number of classes, expected it as an argument (shape [0])");
}

TEST(Errors, Products) {
  EXPECT_ERROR(matmul(zeros({2, 3}), zeros({4, 5})), ShapeError,
               "matmul: [2, 3] and [4, 5] do not multiply, expected [..., m, k] and [..., k, n], or a vector [k] on "
               "either side");
  EXPECT_ERROR(matmul(zeros({3}), zeros({})), ShapeError,
               "matmul: [3] and [] do not multiply, expected [..., m, k] and [..., k, n], or a vector [k] on either "
               "side");
  EXPECT_ERROR(matmul(zeros({2, 3, 4}), zeros({3, 4, 5})), ShapeError,
               "matmul: shapes [2] and [3] do not broadcast, sizes must be equal or 1 counted from the last dimension");
  EXPECT_ERROR(bmm(zeros({2, 3, 4}), zeros({1, 4, 5})), ShapeError,
               "bmm: [2, 3, 4] and [1, 4, 5] do not multiply, expected [b, m, k] and [b, k, n]");
  EXPECT_ERROR(dot(zeros({2}), zeros({3})), ShapeError, "dot: [2] and [3] do not multiply, expected two vectors [n]");
  EXPECT_ERROR(outer(zeros({2}), zeros({3, 1})), ShapeError,
               "outer: [2] and [3, 1] do not multiply, expected two vectors [m] and [n]");
  EXPECT_ERROR(matmul(zeros({2, 3}), zeros({3, 5}, f64)), DTypeError,
               "matmul: b is float64, a is float32, expected one type (shapes [3, 5], [2, 3])");
  EXPECT_ERROR(matmul(zeros({2, 3}, i64), zeros({3, 5}, i64)), DTypeError,
               "matmul: a is int64, expected a floating type (a [2, 3])");
  EXPECT_ERROR(linear(zeros({2, 3}), zeros({5, 4})), ShapeError,
               "linear: input has 3 features, weight expects 4 (input [2, 3], weight [5, 4])");
  EXPECT_ERROR(linear(zeros({}), zeros({5, 4})), ShapeError,
               "linear: input has 0 features, weight expects 4 (input [], weight [5, 4])");
  EXPECT_ERROR(linear(zeros({2, 4}), zeros({4})), ShapeError,
               "linear: weight has 1 dimensions, expected 2 (weight [4])");
  EXPECT_ERROR(linear(zeros({2, 4}), zeros({5, 4}), zeros({4})), ShapeError,
               "linear: bias has shape [4], expected [5] (input [2, 4], weight [5, 4])");
  EXPECT_ERROR(linear(zeros({2, 4}), zeros({5, 4}), {}, {.add = zeros({2, 4})}), ShapeError,
               "linear: add has shape [2, 4], expected the result's [2, 5] (input [2, 4], weight [5, 4])");
  EXPECT_ERROR(linear(zeros({2, 4}), zeros({5, 4}), zeros({5}, f64)), DTypeError,
               "linear: bias is float64, input is float32, expected one type (shapes [5], [2, 4])");
  EXPECT_ERROR(linear(zeros({2, 4}, i64), zeros({5, 4}, i64)), DTypeError,
               "linear: input is int64, expected a floating type (input [2, 4])");
  EXPECT_ERROR(linear(zeros({2, 3, 0}), zeros({5, 0})), ShapeError,
               "linear: input [2, 3, 0] has no features, expected at least one");
}

TEST(Errors, Convolution) {
  const Tensor x = zeros({8, 4, 32, 32}), w = zeros({16, 3, 3, 3});
  EXPECT_ERROR(conv2d(x, w), ShapeError,
               "conv2d: input has 4 channels, weight expects 3 (input [8, 4, 32, 32], weight [16, 3, 3, 3], groups 1)");
  EXPECT_ERROR(conv2d(zeros({4, 32, 32}), w), ShapeError,
               "conv2d: input has 3 dimensions, expected 4 (input [4, 32, 32])");
  EXPECT_ERROR(conv2d(x, zeros({16, 4, 3})), ShapeError,
               "conv2d: weight has 3 dimensions, expected 4 (weight [16, 4, 3])");
  EXPECT_ERROR(conv2d(x, zeros({15, 2, 3, 3}), {}, {.groups = 2}), ShapeError,
               "conv2d: 15 filters do not split into 2 groups (input [8, 4, 32, 32], weight [15, 2, 3, 3], groups 2)");
  EXPECT_ERROR(
      conv2d(x, zeros({16, 4, 3, 0})), ShapeError,
      "conv2d: a size is 0, expected filters and channels (input [8, 4, 32, 32], weight [16, 4, 3, 0], groups 1)");
  EXPECT_ERROR(conv2d(x, zeros({16, 4, 3, 3}), zeros({8})), ShapeError,
               "conv2d: bias has shape [8], expected [16] (input [8, 4, 32, 32], weight [16, 4, 3, 3], groups 1)");
  EXPECT_ERROR(
      conv2d(zeros({1, 4, 2, 2}), zeros({16, 4, 3, 3})), ShapeError,
      "conv2d: the filter is larger than the padded input (input [1, 4, 2, 2], weight [16, 4, 3, 3], groups 1) with "
      "padding 0x0, dilation 1x1");
  EXPECT_ERROR(
      conv2d(x, zeros({16, 4, 3, 3}), {}, {.add = zeros({8, 16, 32, 32})}), ShapeError,
      "conv2d: add has shape [8, 16, 32, 32], expected the result's [8, 16, 30, 30] (input [8, 4, 32, 32], weight "
      "[16, 4, 3, 3], groups 1)");
  EXPECT_ERROR(conv2d(x, w, {}, {.stride = {0, 1}}), ArgumentError, "conv2d: stride is 0x1, expected 1 to 2147483647");
  EXPECT_ERROR(conv2d(x, w, {}, {.padding = -1}), ArgumentError, "conv2d: padding is -1x-1, expected 0 to 2147483647");
  EXPECT_ERROR(conv2d(x, w, {}, {.dilation = 0}), ArgumentError, "conv2d: dilation is 0x0, expected 1 to 2147483647");
  EXPECT_ERROR(conv2d(x, w, {}, {.stride = int64_t{1} << 40}), ArgumentError,
               "conv2d: stride is 1099511627776x1099511627776, expected 1 to 2147483647");
  EXPECT_ERROR(conv2d(x, w, {}, {.groups = 0}), ArgumentError, "conv2d: groups is 0, expected at least 1");
  EXPECT_ERROR(conv2d(x, zeros({16, 4, 3, 3}, f64)), DTypeError,
               "conv2d: weight is float64, input is float32, expected one type (shapes [16, 4, 3, 3], [8, 4, 32, 32])");
  EXPECT_ERROR(conv2d(zeros({1, 1, 3, 3}, i64), zeros({1, 1, 3, 3}, i64)), DTypeError,
               "conv2d: input is int64, expected a floating type (input [1, 1, 3, 3])");
  EXPECT_ERROR(conv2d({}, w), ArgumentError, "conv2d: input is undefined, expected a tensor");
  EXPECT_THROW(conv2d(x, w, {}, {.groups = INT64_MAX}), ShapeError);
}

TEST(Errors, Pooling) {
  const Tensor x = zeros({2, 3, 4, 5});
  EXPECT_ERROR(max_pool2d(zeros({3, 4, 5})), ShapeError,
               "max_pool2d: input has 3 dimensions, expected 4 (input [3, 4, 5])");
  EXPECT_ERROR(avg_pool2d(zeros({1, 1, 4, 4}, i64)), DTypeError,
               "avg_pool2d: input is int64, expected a floating type (input [1, 1, 4, 4])");
  EXPECT_ERROR(max_pool2d(x, {.kernel = {0, 2}}), ArgumentError,
               "max_pool2d: kernel is 0x2, expected at least 1 (input [2, 3, 4, 5], kernel 0x2)");
  EXPECT_ERROR(
      max_pool2d(x, {.kernel = 1 << 20}), ArgumentError,
      "max_pool2d: kernel is 1048576x1048576, expected at least 1 (input [2, 3, 4, 5], kernel 1048576x1048576)");
  EXPECT_ERROR(
      avg_pool2d(x, {.stride = -1}), ArgumentError,
      "avg_pool2d: stride is -1x-1, expected at least 1, or 0 for the kernel's size (input [2, 3, 4, 5], kernel "
      "2x2)");
  EXPECT_ERROR(max_pool2d(x, {.padding = 2}), ArgumentError,
               "max_pool2d: padding is 2x2, expected 0 to half the kernel (input [2, 3, 4, 5], kernel 2x2)");
  EXPECT_ERROR(max_pool2d(x, {.kernel = 5}), ShapeError,
               "max_pool2d: the window 5x5 is larger than the padded input (input [2, 3, 4, 5], padding 0x0)");
  // Padding alone would make a window: there is nothing in it.
  EXPECT_ERROR(max_pool2d(zeros({1, 1, 0, 4}), {.kernel = 2, .padding = 1}), ShapeError,
               "max_pool2d: the image has no pixels, expected at least one (input [1, 1, 0, 4])");
  EXPECT_ERROR(avg_pool2d(zeros({1, 1, 4, 0}), {.kernel = 2, .padding = 1}), ShapeError,
               "avg_pool2d: the image has no pixels, expected at least one (input [1, 1, 4, 0])");
  EXPECT_ERROR(max_pool2d({}), ArgumentError, "max_pool2d: input is undefined, expected a tensor");
}

TEST(Errors, BatchNorm) {
  const Tensor x = zeros({2, 3, 4, 4}), one = ones({3}), four = ones({4});
  const BatchNormOptions inference{.training = false};
  EXPECT_ERROR(batch_norm(zeros({2, 3, 4}), one, one, one, one), ShapeError,
               "batch_norm: input has 3 dimensions, expected [n, c] or [n, c, h, w] (input [2, 3, 4])");
  EXPECT_ERROR(batch_norm(x, four, one, one, one), ShapeError,
               "batch_norm: weight has shape [4], expected [3] (input [2, 3, 4, 4])");
  EXPECT_ERROR(batch_norm(x, one, one, one, four), ShapeError,
               "batch_norm: running_var has shape [4], expected [3] (input [2, 3, 4, 4])");
  EXPECT_ERROR(batch_norm(x, {}, one, one, one), ArgumentError, "batch_norm: weight is undefined, expected a tensor");
  EXPECT_ERROR(batch_norm(x, one, one, {}, {}, inference), ArgumentError,
               "batch_norm: running_mean is undefined, expected a tensor");
  EXPECT_ERROR(batch_norm(x, one, one, one, {}), ArgumentError,
               "batch_norm: running_var is undefined, expected a tensor");
  EXPECT_ERROR(batch_norm(x, ones({3}, f64), one, one, one), DTypeError,
               "batch_norm: weight is float64, expected float32 for an input of float32");
  EXPECT_ERROR(batch_norm(x.to(DType::bfloat16), one.to(DType::bfloat16), one, one, one), DTypeError,
               "batch_norm: weight is bfloat16, expected float32 for an input of bfloat16");
  EXPECT_ERROR(batch_norm(zeros({2, 3}, i64), one, one, one, one), DTypeError,
               "batch_norm: input is int64, expected a floating type (input [2, 3])");
  EXPECT_ERROR(batch_norm(x, ones({6}).slice(0, 0, 6, 2), one, one, one), ArgumentError,
               "batch_norm: weight has gaps between its elements, expected it contiguous");
  EXPECT_ERROR(batch_norm(x, one, one, one, one, {.eps = 0}), ArgumentError,
               "batch_norm: eps is 0, expected a positive number");
  EXPECT_ERROR(batch_norm(x, one, one, one, one, {.eps = std::nan("")}), ArgumentError,
               "batch_norm: eps is nan, expected a positive number");
  EXPECT_ERROR(batch_norm(x, one, one, one, one, {.momentum = 1.5}), ArgumentError,
               "batch_norm: momentum is 1.5, expected 0 to 1");
  EXPECT_ERROR(batch_norm(x, one, one, one, one, {.add = zeros({2, 3, 4, 5})}), ShapeError,
               "batch_norm: add is float32 [2, 3, 4, 5], expected the input's float32 [2, 3, 4, 4]");
  EXPECT_ERROR(batch_norm(x, one, one, one, one, {.num_batches_tracked = zeros({1}, i64)}), ShapeError,
               "batch_norm: num_batches_tracked has shape [1], expected [] (input [2, 3, 4, 4])");
  EXPECT_ERROR(batch_norm(x, one, one, one, one, {.num_batches_tracked = zeros({})}), DTypeError,
               "batch_norm: num_batches_tracked is float32, expected int64");
  EXPECT_ERROR(batch_norm(zeros({1, 3}), one, one, one, one), ShapeError,
               "batch_norm: 1 values per channel in training, expected at least 2 (input [1, 3])");
  EXPECT_ERROR(batch_norm(zeros({0, 3, 4, 4}), one, one, one, one), ShapeError,
               "batch_norm: 0 values per channel in training, expected at least 2 (input [0, 3, 4, 4])");
}

TEST(Errors, Dropout) {
  EXPECT_ERROR(dropout(zeros({2}), {.p = 1.5}), ArgumentError, "dropout: p is 1.5, expected 0 to 1 (input [2])");
  EXPECT_ERROR(dropout(zeros({2}), {.p = -0.1}), ArgumentError, "dropout: p is -0.1, expected 0 to 1 (input [2])");
  EXPECT_ERROR(dropout(zeros({2}), {.p = std::nan("")}), ArgumentError,
               "dropout: p is nan, expected 0 to 1 (input [2])");
  EXPECT_ERROR(dropout(zeros({2}, i64)), DTypeError, "dropout: input is int64, expected a floating type (input [2])");
}

TEST(Errors, Reductions) {
  const Tensor x = zeros({2, 3});
  EXPECT_ERROR(sum(x, {.dims = {2}}), IndexError, "sum: dimension 2 is out of range, expected -2 <= dimension < 2");
  EXPECT_ERROR(mean(x, {.dims = {-3}}), IndexError, "mean: dimension -3 is out of range, expected -2 <= dimension < 2");
  EXPECT_ERROR(sum(x, {.dims = {1, -1}}), IndexError,
               "sum: dimension 1 is named twice, expected each once (dims [1, -1], shape [2, 3])");
  EXPECT_ERROR(mean(zeros({2}, i64)), DTypeError, "mean: input is int64, expected a floating type (input [2])");
  EXPECT_ERROR(max(zeros({0, 3})), ShapeError,
               "max: no elements to choose from, expected a dimension that is not empty (shape [0, 3])");
  EXPECT_ERROR(min(zeros({2, 0}), {.dims = {1}}), ShapeError,
               "min: no elements to choose from, expected a dimension that is not empty (shape [2, 0])");
  EXPECT_ERROR(max(zeros({2}, boolean)), DTypeError, "max: the input is bool, expected a number type (shape [2])");
  EXPECT_ERROR(argmax(zeros({2, 0}), 1), ShapeError,
               "argmax: dimension 1 is empty, expected at least one element (shape [2, 0])");
  EXPECT_ERROR(argmin(zeros({0})), ShapeError,
               "argmin: dimension 0 is empty, expected at least one element (shape [0])");
  EXPECT_ERROR(max(zeros({2, 0}), 1), ShapeError,
               "max: no elements to choose from, expected a dimension that is not empty (shape [2, 0])");
  EXPECT_ERROR(var(zeros({2}, i64)), DTypeError, "var: input is int64, expected a floating type (input [2])");
  EXPECT_ERROR(norm(zeros({2}, i64)), DTypeError, "norm: input is int64, expected a floating type (input [2])");
  EXPECT_ERROR(norm(x, {.p = -1}), ArgumentError, "norm: p is -1, expected 0 or more (input [2, 3])");
  EXPECT_ERROR(norm(zeros({2, 0}), {.p = INFINITY, .dims = {1}}), ShapeError,
               "norm: no elements to choose from, expected a dimension that is not empty (shape [2, 0])");
  EXPECT_ERROR(logsumexp(zeros({2}, i64)), DTypeError,
               "logsumexp: input is int64, expected a floating type (input [2])");
  EXPECT_ERROR(any(x, {.dims = {2}}), IndexError, "any: dimension 2 is out of range, expected -2 <= dimension < 2");
  EXPECT_ERROR(argmax(x, 2), IndexError, "argmax: dimension 2 is out of range, expected -2 <= dimension < 2");
  EXPECT_ERROR(argmax(zeros({2}, boolean), 0), DTypeError,
               "argmax: the input is bool, expected a number type (shape [2])");
  EXPECT_ERROR(softmax(x, 2), IndexError, "softmax: dimension 2 is out of range, expected -2 <= dimension < 2");
  EXPECT_ERROR(log_softmax(zeros({2}, i64)), DTypeError,
               "log_softmax: input is int64, expected a floating type (input [2])");
}

TEST(Errors, Indexing) {
  const Tensor x = zeros({2, 3}), two = zeros({2}, i64), matrix = zeros({2, 2}, i64);
  EXPECT_ERROR(index_select(x, 0, x), ShapeError, "index_select: index has 2 dimensions, expected 1 (index [2, 3])");
  EXPECT_ERROR(index_select(x, 0, zeros({2})), DTypeError,
               "index_select: index is float32, expected int64 or int32 (index [2])");
  EXPECT_ERROR(index_select(zeros({}), 0, two), ShapeError,
               "index_select: the input is a scalar, expected at least one dimension (input [])");
  const auto start = [] { return 0; };
  EXPECT_ERROR(dynamic_slice(zeros({}), start, 0), ShapeError,
               "dynamic_slice: the input is a scalar, expected at least one dimension (input [])");
  for (const int size : {-1, 3})
    EXPECT_ERROR(dynamic_slice(x, start, size), ShapeError,
                 "dynamic_slice: size is " + std::to_string(size) + ", expected 0 to 2 (input [2, 3])");
  EXPECT_ERROR(dynamic_slice(x, {}, 1), ArgumentError, "dynamic_slice: start is an empty function");
  EXPECT_ERROR(gather(x, 0, two), ShapeError,
               "gather: index [2] reaches beyond input [2, 3], expected one no larger except in dimension 0");
  EXPECT_ERROR(scatter_add(x, 1, matrix, zeros({2, 1})), ShapeError,
               "scatter_add: index [2, 2] reaches beyond source [2, 1], expected one no larger");
  EXPECT_ERROR(scatter(x, 1, matrix, zeros({2, 2}, f64)), DTypeError,
               "scatter: source is float64, input is float32, expected one type (shapes [2, 2], [2, 3])");
  EXPECT_ERROR(scatter_add(zeros({2, 3}, boolean), 1, matrix, zeros({2, 2}, boolean)), DTypeError,
               "scatter_add: the input is bool, expected a number type (input [2, 3])");
  EXPECT_ERROR(index_add(x, 0, two, zeros({2, 2})), ShapeError,
               "index_add: source has shape [2, 2], expected [2, 3] (input [2, 3], index [2], dimension 0)");
  EXPECT_ERROR(masked_select(x, x), DTypeError, "masked_select: mask is float32, expected bool (mask [2, 3])");
  const Tensor leaf = zeros({2, 3}, {.requires_grad = true});
  EXPECT_ERROR(scatter_(leaf, 1, matrix, 1), AutogradError,
               "scatter_: the tensor requires a gradient, expected one that autograd does not record, or NoGrad (shape "
               "[2, 3], a leaf)");
  EXPECT_ERROR(scatter_add_(x, 1, matrix, leaf), AutogradError,
               "scatter_add_: the source requires a gradient, which an in-place operation does not record; expected an "
               "operation that is not in place, or NoGrad (source [2, 3])");
}

TEST(Errors, Order) {
  const Tensor x = zeros({2, 3});
  EXPECT_ERROR(sort(x, {.dim = 2}), IndexError, "sort: dimension 2 is out of range, expected -2 <= dimension < 2");
  EXPECT_ERROR(argsort({}), ArgumentError, "argsort: input is undefined, expected a tensor");
  EXPECT_ERROR(topk(x, 4), ArgumentError, "topk: k is 4, expected 0 to 3 (input [2, 3], dimension 1)");
  EXPECT_ERROR(topk(x, -1, {.dim = 0}), ArgumentError, "topk: k is -1, expected 0 to 2 (input [2, 3], dimension 0)");
  EXPECT_ERROR(cumsum(x, -3), IndexError, "cumsum: dimension -3 is out of range, expected -2 <= dimension < 2");
}

TEST(Errors, Rearranging) {
  const Tensor x = zeros({2, 3});
  EXPECT_ERROR(permute(x, {0, 0}), IndexError,
               "permute: the order [0, 0] does not name each of 2 dimensions once (shape [2, 3])");
  EXPECT_ERROR(permute(x, {1}), IndexError,
               "permute: the order [1] does not name each of 2 dimensions once (shape [2, 3])");
  EXPECT_ERROR(diagonal(x, 0, 1, -1), ShapeError,
               "diagonal: dimensions 1 and -1, expected two different ones (input [2, 3])");
  EXPECT_ERROR(split(x, 0), ArgumentError, "split: size is 0, expected at least 1 (input [2, 3])");
  EXPECT_ERROR(split(x, {1, 3}, 1), ArgumentError,
               "split: the sizes are [1, 3], expected 0 or more with the sum 3 (input [2, 3], dimension 1)");
  EXPECT_ERROR(split(zeros({}), 1), ShapeError,
               "split: the input is a scalar, expected at least one dimension (input [])");
  EXPECT_ERROR(chunk(x, 0), ArgumentError, "chunk: chunks is 0, expected at least 1 (input [2, 3])");
  EXPECT_ERROR(stack({}), ArgumentError, "stack: the list is empty, expected at least one tensor");
  EXPECT_ERROR(stack({x, zeros({3})}), ShapeError, "stack: tensor 1 has shape [3], expected that of the first, [2, 3]");
  EXPECT_ERROR(pad(x, {1}), ArgumentError,
               "pad: 1 sizes, expected two for each of up to 2 dimensions (sizes [1], input [2, 3])");
  EXPECT_ERROR(pad(x, {-2, -2}), ShapeError,
               "pad: dimension 1 of 3 would be cut or filled beyond its limits, expected a size of 0 or more (sizes "
               "[-2, -2], input [2, 3])");
  EXPECT_ERROR(pad(x, {3, 0}, {.mode = PadMode::reflect}), ArgumentError,
               "pad: dimension 1 of 3 cannot be continued by 3 and 0 elements, expected 0 to its size less 1 (sizes "
               "[3, 0], input [2, 3])");
  EXPECT_ERROR(
      pad(x, {-1, 0}, {.mode = PadMode::replicate}), ArgumentError,
      "pad: dimension 1 of 3 cannot be continued by -1 and 0 elements, expected 0 or more, and elements (sizes "
      "[-1, 0], input [2, 3])");
  EXPECT_ERROR(flip(x, {0, -2}), IndexError,
               "flip: dimension 0 is named twice, expected each once (dims [0, -2], shape [2, 3])");
  EXPECT_ERROR(tril(zeros({3})), ShapeError, "tril: input has 1 dimensions, expected 2 or more (input [3])");
  EXPECT_ERROR(repeat(x, {2}), ShapeError,
               "repeat: the counts are [2], expected 0 or more for each of at least 2 dimensions (input [2, 3])");
}

TEST(Errors, Losses) {
  const Tensor logits = zeros({2, 3});
  EXPECT_ERROR(cross_entropy(zeros({2, 3, 4}), zeros({2}, i64)), ShapeError,
               "cross_entropy: expected logits [n, classes, ...] and labels [n, ...] (logits [2, 3, 4], labels [2])");
  EXPECT_ERROR(cross_entropy(logits, zeros({3}, i64)), ShapeError,
               "cross_entropy: expected logits [n, classes, ...] and labels [n, ...] (logits [2, 3], labels [3])");
  EXPECT_ERROR(cross_entropy(logits, zeros({2})), ShapeError,
               "cross_entropy: targets that are probabilities have the logits' shape (logits [2, 3], targets [2])");
  EXPECT_ERROR(cross_entropy(logits, zeros({2}, boolean)), DTypeError,
               "cross_entropy: labels are bool, expected int64 or int32 (labels [2])");
  EXPECT_ERROR(cross_entropy(logits, zeros({2, 3}), {.ignore_index = 1}), ArgumentError,
               "cross_entropy: ignore_index is 1, expected none for targets that are probabilities (targets [2, 3])");
  EXPECT_ERROR(cross_entropy(logits, zeros({2}, i64), {.label_smoothing = 1.5}), ArgumentError,
               "cross_entropy: label_smoothing is 1.5, expected 0 to 1");
  EXPECT_ERROR(cross_entropy(logits, zeros({2}, i64), {.weight = ones({2})}), ShapeError,
               "cross_entropy: weight is [2], expected [3], one number for each class (input [2, 3])");
  EXPECT_ERROR(cross_entropy(logits, zeros({2}, i64), {.weight = ones({3}, i64)}), DTypeError,
               "cross_entropy: weight is int64, expected a floating type (weight [3])");
  EXPECT_ERROR(nll_loss(logits, tensor({0, 3}, {2}, i64)), IndexError,
               "cross_entropy: label 3 at position 1, expected 0 <= label < 3");
  EXPECT_ERROR(nll_loss(logits, zeros({3}, i64)), ShapeError,
               "nll_loss: expected input [n, classes, ...] and labels [n, ...] (input [2, 3], labels [3])");
  EXPECT_ERROR(smooth_l1_loss(logits, logits, {.beta = -1}), ArgumentError,
               "smooth_l1_loss: beta is -1, expected at least 0");
  EXPECT_ERROR(huber_loss(logits, logits, {.delta = 0}), ArgumentError,
               "huber_loss: delta is 0, expected a positive number");
  EXPECT_ERROR(bce_with_logits(logits, logits, {.weight = ones({4, 2, 3})}), ShapeError,
               "bce_with_logits: the weights enlarge the result to [4, 2, 3], expected weights that broadcast to the "
               "input [2, 3]");
  EXPECT_ERROR(quadratic_cost(zeros({}), zeros({})), ShapeError,
               "quadratic_cost: output is a single number, expected samples [n, ...] (output [])");
  EXPECT_ERROR(l1_loss(zeros({}), zeros({}), {.reduction = Reduction::batch_mean}), ShapeError,
               "l1_loss: the mean over samples of a single number, expected a first dimension");
  EXPECT_ERROR(cross_entropy(zeros({2, 3}, i64), zeros({2}, i64)), DTypeError,
               "cross_entropy: logits is int64, expected a floating type (logits [2, 3])");
  EXPECT_ERROR(cross_entropy(zeros({2, 0}), zeros({2}, i64)), ShapeError,
               "cross_entropy: logits have no classes, expected at least one (logits [2, 0])");
  EXPECT_ERROR(classification_loss(zeros({2, 3, 4}), zeros({2, 4}, i64)), ShapeError,
               "classification_loss: logits has 3 dimensions, expected 2 (logits [2, 3, 4])");
  EXPECT_ERROR(
      classification_loss(logits, zeros({3}, i64)), ShapeError,
      "classification_loss: expected logits [n, classes, ...] and labels [n, ...] (logits [2, 3], labels [3])");
  EXPECT_ERROR(classification_loss(logits, zeros({2}, i64), -1), ArgumentError,
               "classification_loss: label_smoothing is -1, expected 0 to 1");
  EXPECT_ERROR(classification_loss(logits, tensor({0, 3}, {2}, i64)), IndexError,
               "cross_entropy: label 3 at position 1, expected 0 <= label < 3");
  EXPECT_ERROR(cross_entropy(logits, tensor({0, 3}, {2}, i64)), IndexError,
               "cross_entropy: label 3 at position 1, expected 0 <= label < 3");
  EXPECT_ERROR(cross_entropy(logits, tensor({-1, 2}, {2}, i64)), IndexError,
               "cross_entropy: label -1 at position 0, expected 0 <= label < 3");
  EXPECT_ERROR(mse_loss(zeros({2, 3}), zeros({3})), ShapeError,
               "mse_loss: input [2, 3] and target [3] differ, expected one shape");
  EXPECT_ERROR(mse_loss(zeros({2}, i64), zeros({2}, i64)), DTypeError,
               "mse_loss: input is int64, expected a floating type (input [2])");
  EXPECT_ERROR(mse_loss({}, zeros({2})), ArgumentError, "mse_loss: input is undefined, expected a tensor");
}

TEST(Errors, UpdateRules) {
  const Tensor p = zeros({2, 3}), g = zeros({2, 3});
  EXPECT_ERROR(sgd_update_({p}, {}, {}, {}), ArgumentError,
               "sgd_update_: 0 gradients for 1 parameters, expected one each");
  EXPECT_ERROR(sgd_update_({p}, {g}, {}, {.momentum = 0.9}), ArgumentError,
               "sgd_update_: 0 velocities for 1 parameters, expected one each");
  EXPECT_ERROR(adam_update_({p}, {g}, {g, g}, {g}, {}), ArgumentError,
               "adam_update_: 2 means for 1 parameters, expected one each");
  EXPECT_ERROR(rmsprop_update_({p}, {g}, {g}, {}, {}, {.centered = true}), ArgumentError,
               "rmsprop_update_: 0 means for 1 parameters, expected one each");
  EXPECT_ERROR(rmsprop_update_({p}, {g}, {g}, {}, {}, {.momentum = 0.5}), ArgumentError,
               "rmsprop_update_: 0 velocities for 1 parameters, expected one each");
  EXPECT_ERROR(adagrad_update_({p}, {g}, {}, {}), ArgumentError,
               "adagrad_update_: 0 sums for 1 parameters, expected one each");
  EXPECT_ERROR(clamp(p, 1, 0), ArgumentError, "clamp: the limits are 1 and 0, expected low <= high");
  EXPECT_ERROR(sgd_update_({p}, {Tensor()}, {}, {}), ArgumentError, "sgd_update_: entry 0 of gradients is undefined");
  EXPECT_ERROR(sgd_update_({Tensor()}, {g}, {}, {}), ArgumentError,
               "sgd_update_: parameter is undefined, expected a tensor");
  EXPECT_ERROR(sgd_update_({p, p}, {g, zeros({3})}, {}, {}), ShapeError,
               "sgd_update_: entry 1 of gradients has shape [3], its parameter [2, 3]");
  EXPECT_ERROR(adam_update_({p}, {g}, {g}, {zeros({2, 3}, f64)}, {}), DTypeError,
               "adam_update_: entry 0 of squares is float64, its parameter float32");
  EXPECT_ERROR(
      sgd_update_({p}, {zeros({3, 2}).t()}, {}, {}), ArgumentError,
      "sgd_update_: entry 0 of gradients has gaps between its elements, expected it contiguous (shape [2, 3])");
  EXPECT_ERROR(sgd_update_({zeros({2}, i64)}, {zeros({2}, i64)}, {}, {}), DTypeError,
               "sgd_update_: parameter is int64, expected a floating type (parameter [2])");
  EXPECT_ERROR(adam_update_({p}, {g}, {g}, {g}, {.step = 0}), ArgumentError,
               "adam_update_: step is 0, expected 1 for the first update");
  EXPECT_ERROR(sgd_update_({p}, {g}, {}, {.step = -1}), ArgumentError,
               "sgd_update_: step is -1, expected 1 for the first update, or another count");
  EXPECT_ERROR(adagrad_update_({p}, {g}, {g}, {.step = 0}), ArgumentError,
               "adagrad_update_: step is 0, expected 1 for the first update");
  const Tensor narrow = zeros({2, 3}, {.dtype = DType::bfloat16}), wide = zeros({2, 3}, f64);
  EXPECT_ERROR(sgd_update_({wide}, {narrow}, {}, {}), DTypeError,
               "sgd_update_: entry 0 of gradients is bfloat16, its parameter float64");
  EXPECT_ERROR(sgd_update_({p}, {g}, {narrow}, {.momentum = 1}), DTypeError,
               "sgd_update_: entry 0 of velocities is bfloat16, its parameter float32");
  EXPECT_ERROR(sgd_update_({p}, {g}, {}, {}, {.factor = zeros({1})}), DTypeError,
               "sgd_update_: factor is float32 [1], expected one number [] of float32 or float64");
  EXPECT_ERROR(sgd_update_({p}, {g}, {}, {}, {.skip = zeros({}, f64)}), DTypeError,
               "sgd_update_: skip is float64 [], expected one number [] of float32");
  EXPECT_ERROR(sgd_update_({p}, {g}, {}, {}, {.skipped = zeros({}, i64)}), DTypeError,
               "sgd_update_: skipped is int64 [], expected one number [] of float32");
  sgd_update_({}, {}, {}, {});
  adam_update_({}, {}, {}, {}, {});
}

TEST(Errors, UndefinedTensorsAreNamed) {
  const Tensor x = zeros({2, 3});
  EXPECT_ERROR(relu({}), ArgumentError, "relu: input is undefined, expected a tensor");
  EXPECT_ERROR(neg({}), ArgumentError, "neg: input is undefined, expected a tensor");
  EXPECT_ERROR(sum({}), ArgumentError, "sum: input is undefined, expected a tensor");
  EXPECT_ERROR(argmax({}, 0), ArgumentError, "argmax: input is undefined, expected a tensor");
  EXPECT_ERROR(softmax({}), ArgumentError, "softmax: input is undefined, expected a tensor");
  EXPECT_ERROR(dropout({}), ArgumentError, "dropout: input is undefined, expected a tensor");
  EXPECT_ERROR(matmul(x, {}), ArgumentError, "matmul: b is undefined, expected a tensor");
  EXPECT_ERROR(linear(x, {}), ArgumentError, "linear: weight is undefined, expected a tensor");
  EXPECT_ERROR(conv2d(zeros({1, 1, 2, 2}), {}), ArgumentError, "conv2d: weight is undefined, expected a tensor");
  EXPECT_ERROR(cross_entropy(x, {}), ArgumentError, "cross_entropy: labels is undefined, expected a tensor");
  EXPECT_ERROR(mse_loss(x, {}), ArgumentError, "mse_loss: target is undefined, expected a tensor");
  EXPECT_ERROR(batch_norm({}, x, x, x, x), ArgumentError, "batch_norm: input is undefined, expected a tensor");
  EXPECT_ERROR(cat({x, {}}), ArgumentError, "cat: a tensor is undefined, expected a tensor");
}

TEST(Errors, NothingIsChangedByARefusedUpdate) {
  const Tensor p = ones({2}), g = ones({2});
  EXPECT_THROW(sgd_update_({p, p}, {g, zeros({3})}, {}, {}), ShapeError);
  EXPECT_EQ(p.to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(p.version(), 0u);
  const Tensor mean = zeros({3}), var = ones({3});
  EXPECT_THROW(batch_norm(zeros({1, 3}), ones({3}), zeros({3}), mean, var), ShapeError);
  EXPECT_EQ(mean.version(), 0u);
}

TEST(Errors, ABadLabelLeavesTheTensorsUsable) {
  const Tensor x = randn({2, 3}, {.requires_grad = true});
  EXPECT_THROW(cross_entropy(x, tensor({0, 7}, {2}, i64)), IndexError);
  cross_entropy(x, tensor({0, 1}, {2}, i64)).backward();
  EXPECT_TRUE(x.has_grad());
}

}  // namespace
}  // namespace dnn
