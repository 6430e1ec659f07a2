// Tensors: handles, elements, conversions, in-place changes.
#include "dnn/tensor.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <vector>

#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "tests/harness/errors.h"

namespace dnn {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Tensor, AnUndefinedOneRefusesEverythingByName) {
  const Tensor none;
  EXPECT_FALSE(none.defined());
  const std::string text = "tensor: the tensor is undefined, expected one that holds elements";
  EXPECT_ERROR(none.shape(), ArgumentError, text);
  EXPECT_ERROR(none.numel(), ArgumentError, text);
  EXPECT_ERROR(none.item(), ArgumentError, text);
  EXPECT_ERROR(none.data<float>(), ArgumentError, text);
  EXPECT_ERROR(none.to(DType::float64), ArgumentError, text);
  EXPECT_ERROR(none.backward(), ArgumentError, text);
  EXPECT_ERROR(none.reshape({1}), ArgumentError, text);
  EXPECT_ERROR(none.clone(), ArgumentError, text);
  EXPECT_ERROR(tensor({1}).copy_(none), ArgumentError, text);
  EXPECT_ERROR(tensor({1}).add_(none), ArgumentError, text);
}

TEST(Tensor, CopyingSharesAndCloneCopies) {
  const Tensor a = tensor({1, 2});
  const Tensor b = a;
  Tensor c = a.clone();
  EXPECT_TRUE(a.is_same(b));
  EXPECT_FALSE(a.is_same(c));
  c.fill_(9);
  EXPECT_THAT(a.to_vector<float>(), ElementsAre(1, 2));
  Tensor(b).fill_(7);
  EXPECT_THAT(a.to_vector<float>(), ElementsAre(7, 7));
}

TEST(Tensor, KnowsItself) {
  const Tensor t = zeros({2, 3}, {.dtype = DType::int32});
  EXPECT_EQ(t.shape(), (Shape{2, 3}));
  EXPECT_EQ(t.strides(), (Strides{3, 1}));
  EXPECT_EQ(t.rank(), 2);
  EXPECT_EQ(t.size(-1), 3);
  EXPECT_EQ(t.numel(), 6);
  EXPECT_EQ(t.dtype(), DType::int32);
  EXPECT_EQ(t.device(), Device::cpu());
  EXPECT_TRUE(t.is_contiguous());
  EXPECT_EQ(t.options().dtype, DType::int32);
  EXPECT_FALSE(t.requires_grad());
  EXPECT_TRUE(t.is_leaf());
}

TEST(Tensor, GivesItsElementsInTheirTypeOnly) {
  const Tensor t = tensor({1, 2, 3});
  EXPECT_EQ(t.data<float>()[1], 2);
  EXPECT_ERROR(t.data<double>(), DTypeError, "data: the tensor is float32, asked for float64 (shape [3])");
  EXPECT_ERROR(t.to_vector<int64_t>(), DTypeError, "data: the tensor is float32, asked for int64 (shape [3])");
  EXPECT_THAT(arange(0, 3).to_vector<int64_t>(), ElementsAre(0, 1, 2));
  EXPECT_THAT(tensor({1, 0}, {2}, {.dtype = DType::boolean}).to_vector<bool>(), ElementsAre(true, false));
  EXPECT_THAT(zeros({0}).to_vector<float>(), IsEmpty());
  EXPECT_EQ(tensor({1, 2}, {2}, {.dtype = DType::float16}).to_vector<dnn::float16>()[1], 2.0f);
}

TEST(Tensor, ItemIsTheOnlyElement) {
  EXPECT_EQ(tensor({3.5}, {}).item(), 3.5);
  EXPECT_EQ(tensor({3.5}, {1, 1}).item(), 3.5);
  EXPECT_EQ(full({}, 7, {.dtype = DType::uint8}).item(), 7);
  EXPECT_EQ(full({}, 1, {.dtype = DType::boolean}).item(), 1);
  EXPECT_EQ(arange(0, 10).select(0, 4).item(), 4);
  EXPECT_ERROR(tensor({1, 2}).item(), ShapeError, "item: the tensor has 2 elements, expected 1 (shape [2])");
  EXPECT_ERROR(zeros({0}).item(), ShapeError, "item: the tensor has 0 elements, expected 1 (shape [0])");
}

TEST(Tensor, ReadsTheOrderOfAView) {
  const Tensor t = arange(0, 6).reshape({2, 3});
  EXPECT_THAT(t.t().to_vector<int64_t>(), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(t.slice(1, 0, 3, 2).to_vector<int64_t>(), ElementsAre(0, 2, 3, 5));
  EXPECT_THAT(t.select(1, 1).expand({2, 2}).to_vector<int64_t>(), ElementsAre(1, 4, 1, 4));
}

// ---- factories
// -------------------------------------------------------------------------------------------------------

TEST(Factory, RefusesSizesThatCannotBe) {
  EXPECT_ERROR(zeros({2, -1}), ShapeError, "shape: size -1 is negative, expected 0 or more (shape [2, -1])");
  EXPECT_ERROR(empty({int64_t{1} << 61}), ShapeError,
               "empty: 2305843009213693952 elements of float32 exceed 64 bits of bytes (shape [2305843009213693952])");
  EXPECT_ERROR(empty({int64_t{1} << 62, 4}), ShapeError,
               "shape: the number of elements exceeds 64 bits (shape [4611686018427387904, 4])");
  EXPECT_THROW(empty({int64_t{1} << 60}), OutOfMemory);
  EXPECT_THROW(zeros({int64_t{1} << 45}), OutOfMemory);
  EXPECT_EQ(empty({0, int64_t{1} << 62, int64_t{1} << 62}).numel(), 0);
}

TEST(Factory, CountsTheValues) {
  EXPECT_ERROR(tensor({1, 2, 3}, {2, 2}), ShapeError, "from_values: 3 values do not fill [2, 2], expected 4");
  EXPECT_ERROR(from_values(std::vector<float>{1, 2}, {3}), ShapeError,
               "from_values: 2 values do not fill [3], expected 3");
  EXPECT_EQ(from_values(std::vector<int64_t>{3, 1, 4}, {3}).dtype(), DType::int64);
  EXPECT_EQ(from_values(std::vector<uint8_t>{3, 1}, {2, 1}).shape(), (Shape{2, 1}));
}

TEST(Factory, ArangeNeedsStepsThatLeadThere) {
  EXPECT_EQ(arange(0, 5).dtype(), DType::int64);
  EXPECT_ERROR(arange(0, 5, 0), ArgumentError, "arange: steps of 0 do not lead from 0 to 5");
  EXPECT_ERROR(arange(0, 5, -1), ArgumentError, "arange: steps of -1 do not lead from 0 to 5");
  EXPECT_ERROR(arange(5, 0), ArgumentError, "arange: steps of 1 do not lead from 5 to 0");
  EXPECT_THROW(arange(0, NAN), ArgumentError);
  EXPECT_THROW(arange(0, INFINITY), ArgumentError);
  EXPECT_THROW(arange(0, 1e300), Error);
  EXPECT_THROW(arange(0, 1e17), Error);
}

// ---- conversions
// -----------------------------------------------------------------------------------------------------

TEST(Convert, BetweenAllTypes) {
  const std::vector<DType> types{DType::float64, DType::float32, DType::float16, DType::bfloat16,
                                 DType::int64,   DType::int32,   DType::uint8,   DType::boolean};
  for (const DType from : types)
    for (const DType to : types) {
      const Tensor x = tensor({0, 1, 3, 100}, {4}, {.dtype = from});
      const Tensor y = x.to(to);
      EXPECT_EQ(y.dtype(), to);
      EXPECT_EQ(y.is_same(x), from == to);
      const bool truth = from == DType::boolean || to == DType::boolean;
      EXPECT_THAT(y.to(DType::float64).to_vector<double>(), truth ? ElementsAre(0, 1, 1, 1) : ElementsAre(0, 1, 3, 100))
          << name_of(from) << " to " << name_of(to);
    }
}

TEST(Convert, RoundsAsPyTorchDoes) {
  // Towards zero to integers, any number but 0 is true.
  const Tensor x = tensor({1.9, -1.9, 0.5, -0.5});
  EXPECT_THAT(x.to(DType::int64).to_vector<int64_t>(), ElementsAre(1, -1, 0, 0));
  EXPECT_THAT(x.to(DType::int32).to_vector<int32_t>(), ElementsAre(1, -1, 0, 0));
  EXPECT_THAT(x.to(DType::boolean).to_vector<bool>(), ElementsAre(true, true, true, true));
  EXPECT_THAT(tensor({NAN}).to(DType::boolean).to_vector<bool>(), ElementsAre(true));
  const Tensor wide = from_values(std::vector<int64_t>{256, 511, -1, int64_t{1} << 40}, {4});
  EXPECT_THAT(wide.to(DType::uint8).to_vector<uint8_t>(), ElementsAre(0, 255, 255, 0));
  EXPECT_THAT(wide.to(DType::int32).to_vector<int32_t>(), ElementsAre(256, 511, -1, 0));
  // An integer that float64 does not hold stays whole between integers, and rounds once to float32.
  const Tensor large = from_values(std::vector<int64_t>{(int64_t{1} << 53) + 1}, {1});
  EXPECT_EQ(large.clone().to_vector<int64_t>()[0], (int64_t{1} << 53) + 1);
  EXPECT_EQ(tensor({1e300}, {1}, {.dtype = DType::float64}).to(DType::float32).item(), INFINITY);
}

TEST(Convert, GradientsGoBackInTheirType) {
  const Tensor x = tensor({1, 2}).set_requires_grad();
  const Tensor y = x.to(DType::float64);
  EXPECT_TRUE(y.requires_grad());
  (y * y).sum().backward();
  EXPECT_EQ(x.grad().dtype(), DType::float32);
  EXPECT_THAT(x.grad().to_vector<float>(), ElementsAre(2, 4));
  EXPECT_FALSE(x.to(DType::int64).requires_grad());
  EXPECT_TRUE(x.to(DType::float32).is_same(x));
  EXPECT_TRUE(x.to(Device::cpu()).is_same(x));
}

// ---- in place
// --------------------------------------------------------------------------------------------------------

TEST(InPlace, ChangesTheElementsAndTheVersion) {
  Tensor x = tensor({1, 2, 3});
  const uint64_t before = x.version();
  EXPECT_TRUE(x.add_(1).is_same(x));
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(2, 3, 4));
  x.add_(tensor({1, 1, 1}), 2).sub_(tensor({1, 0, 0})).mul_(tensor({1, 2, 3})).mul_(2);
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(6, 20, 36));
  x.fill_(7);
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(7, 7, 7));
  EXPECT_THAT(x.zero_().to_vector<float>(), ElementsAre(0, 0, 0));
  EXPECT_EQ(x.version(), before + 7);
}

TEST(InPlace, BroadcastsTheOperandAlone) {
  Tensor x = zeros({2, 3});
  x.add_(tensor({1, 2, 3}));
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(1, 2, 3, 1, 2, 3));
  x.copy_(tensor({5}));
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(5, 5, 5, 5, 5, 5));
  x.mul_(tensor({1, 2}, {2, 1}));
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(5, 5, 5, 10, 10, 10));
  Tensor row = zeros({3});
  EXPECT_ERROR(row.add_(x), ShapeError,
               "add_: the result has shape [2, 3], expected the shape [3] of the tensor changed in place");
  EXPECT_ERROR(row.sub_(x), ShapeError,
               "sub_: the result has shape [2, 3], expected the shape [3] of the tensor changed in place");
  EXPECT_ERROR(row.mul_(x), ShapeError,
               "mul_: the result has shape [2, 3], expected the shape [3] of the tensor changed in place");
  EXPECT_ERROR(row.copy_(zeros({2})), ShapeError,
               "expand: [2] does not expand to [3], sizes must be equal or 1 counted from the last dimension");
  EXPECT_THAT(row.to_vector<float>(), ElementsAre(0, 0, 0));
}

TEST(InPlace, WorksThroughViews) {
  Tensor x = zeros({2, 3});
  x.t().select(0, 1).fill_(4);
  x.slice(1, 2, 3).add_(1);
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(0, 4, 1, 0, 4, 1));
  x.t().add_(tensor({1, 2, 3}, {3, 1}));
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(1, 6, 4, 1, 6, 4));
}

TEST(InPlace, KeepsTheType) {
  Tensor x = tensor({1, 2}, {2}, {.dtype = DType::int64});
  x.add_(tensor({10, 20}, {2}, {.dtype = DType::int32}));
  EXPECT_EQ(x.dtype(), DType::int64);
  EXPECT_THAT(x.to_vector<int64_t>(), ElementsAre(11, 22));
  Tensor half = tensor({1, 2}, {2}, {.dtype = DType::float16});
  half.add_(tensor({0.5, 0.5}));
  EXPECT_EQ(half.dtype(), DType::float16);
  EXPECT_THAT(half.to(DType::float32).to_vector<float>(), ElementsAre(1.5, 2.5));
}

TEST(InPlace, SourceAndTargetMayOverlap) {
  Tensor x = arange(0, 6);
  x.slice(0, 1, 6).copy_(x.slice(0, 0, 5));
  EXPECT_THAT(x.to_vector<int64_t>(), ElementsAre(0, 0, 1, 2, 3, 4));
  Tensor y = arange(1, 5);
  y.slice(0, 1, 4).add_(y.slice(0, 0, 3));
  EXPECT_THAT(y.to_vector<int64_t>(), ElementsAre(1, 3, 5, 7));
  // Long enough for vectors and threads.
  Tensor z = ones({100000});
  z.slice(0, 1, 100000).add_(z.slice(0, 0, 99999));
  EXPECT_EQ(z.sum().item(), 199999);
  Tensor m = arange(0, 4).reshape({2, 2});
  m.copy_(m.t());
  EXPECT_THAT(m.to_vector<int64_t>(), ElementsAre(0, 2, 1, 3));
  m.add_(m.t());
  EXPECT_THAT(m.to_vector<int64_t>(), ElementsAre(0, 3, 3, 6));
  m.mul_(m).sub_(m);
  EXPECT_THAT(m.to_vector<int64_t>(), ElementsAre(0, 0, 0, 0));
}

TEST(InPlace, NothingChangesNothing) {
  Tensor x = zeros({0, 3});
  x.add_(1).fill_(2).mul_(x).copy_(zeros({0, 3}));
  EXPECT_EQ(x.numel(), 0);
}

TEST(SetData, TakesOverContentsAndKeepsTheHandle) {
  Tensor x = tensor({1, 2, 3}).set_requires_grad();
  (x * 2).sum().backward();
  const uint64_t before = x.version();
  x.set_data(tensor({4, 5}));
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(4, 5));
  EXPECT_TRUE(x.requires_grad());
  EXPECT_FALSE(x.has_grad());
  EXPECT_GT(x.version(), before);
  (x * x).sum().backward();
  EXPECT_THAT(x.grad().to_vector<float>(), ElementsAre(8, 10));
  EXPECT_ERROR((x * 2).set_data(tensor({1})), AutogradError,
               "set_data: the tensor is the result of mul, expected a leaf (shape [2])");
  EXPECT_ERROR(x.set_data(arange(0, 2)), DTypeError,
               "set_data: source is int64, expected a floating type (source [2])");
}

TEST(SetData, IsNoticedBySavedTensors) {
  Tensor w = tensor({3, 4}).set_requires_grad();
  const Tensor y = (w * w).sum();
  w.set_data(tensor({5, 6}));
  // The graph kept the old elements, which nobody changed.
  y.backward();
  EXPECT_THAT(w.grad().to_vector<float>(), ElementsAre(6, 8));
}

// ---- promotion
// -------------------------------------------------------------------------------------------------------

TEST(Promotion, OfTwoTensors) {
  const auto type = [](DType a, DType b) { return (ones({2}, {.dtype = a}) + ones({2}, {.dtype = b})).dtype(); };
  EXPECT_EQ(type(DType::float32, DType::float64), DType::float64);
  EXPECT_EQ(type(DType::float16, DType::bfloat16), DType::float32);
  EXPECT_EQ(type(DType::int64, DType::float16), DType::float16);
  EXPECT_EQ(type(DType::uint8, DType::int32), DType::int32);
  EXPECT_EQ(type(DType::boolean, DType::uint8), DType::uint8);
  EXPECT_EQ((ones({2}, {.dtype = DType::int64}) / ones({2}, {.dtype = DType::int32})).dtype(), DType::float32);
}

TEST(Promotion, AScalarTensorCountsOnlyByItsKind) {
  const auto type = [](DType array, DType scalar) {
    const Tensor left = ones({2}, {.dtype = array}), right = ones({}, {.dtype = scalar});
    EXPECT_EQ((left + right).dtype(), (right + left).dtype());
    return (left + right).dtype();
  };
  EXPECT_EQ(type(DType::float32, DType::float64), DType::float32);
  EXPECT_EQ(type(DType::float16, DType::float64), DType::float16);
  EXPECT_EQ(type(DType::uint8, DType::int64), DType::uint8);
  EXPECT_EQ(type(DType::int64, DType::float32), DType::float32);
  EXPECT_EQ(type(DType::int32, DType::float64), DType::float64);
  EXPECT_EQ(type(DType::boolean, DType::int64), DType::int64);
  EXPECT_EQ((ones({}, {.dtype = DType::float32}) + ones({}, {.dtype = DType::float64})).dtype(), DType::float64);
}

TEST(Promotion, OfATensorAndANumber) {
  const auto type = [](DType t, Scalar number) { return (ones({2}, {.dtype = t}) * number).dtype(); };
  EXPECT_EQ(type(DType::float16, 2.5), DType::float16);
  EXPECT_EQ(type(DType::float64, 2.5f), DType::float64);
  EXPECT_EQ(type(DType::int32, 2), DType::int32);
  EXPECT_EQ(type(DType::uint8, 2.5), DType::float32);
  EXPECT_EQ(type(DType::boolean, 2), DType::int64);
  EXPECT_EQ((ones({2}, {.dtype = DType::int64}) / 2).dtype(), DType::float32);
  EXPECT_EQ((1 / ones({2}, {.dtype = DType::int64})).dtype(), DType::float32);
  EXPECT_EQ((1 - ones({2}, {.dtype = DType::int32})).dtype(), DType::int32);
  EXPECT_EQ(exp(ones({2}, {.dtype = DType::boolean})).dtype(), DType::float32);
}

TEST(Promotion, IntegersStayExact) {
  const int64_t big = (int64_t{1} << 53) + 1;
  const Tensor x = from_values(std::vector<int64_t>{big, -big}, {2});
  EXPECT_THAT((x + 0).to_vector<int64_t>(), ElementsAre(big, -big));
  EXPECT_THAT((x * 1).to_vector<int64_t>(), ElementsAre(big, -big));
  EXPECT_THAT((-x).to_vector<int64_t>(), ElementsAre(-big, big));
  EXPECT_THAT((x + zeros({2}, {.dtype = DType::int64})).to_vector<int64_t>(), ElementsAre(big, -big));
  EXPECT_EQ(sum(x.slice(0, 0, 1)).to_vector<int64_t>()[0], big);
  EXPECT_EQ(full({}, big, {.dtype = DType::int64}).to_vector<int64_t>()[0], big);
}

TEST(Scalar, KeepsItsKind) {
  EXPECT_FALSE(Scalar(3).is_floating());
  EXPECT_TRUE(Scalar(3.0).is_floating());
  EXPECT_EQ(Scalar(int64_t{1} << 60).to_int64(), int64_t{1} << 60);
  EXPECT_EQ(Scalar(2.9).to_int64(), 2);
  EXPECT_EQ(Scalar(2.5f).to_double(), 2.5);
}

}  // namespace
}  // namespace dnn
