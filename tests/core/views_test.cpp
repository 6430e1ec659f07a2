// Views: what they show, that they share, what they refuse, and layouts behind them.
#include <gmock/gmock.h>

#include "core/storage.h"
#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "tests/harness/errors.h"
#include "tests/harness/tensors.h"

namespace dnn {
namespace {

using detail::Layout;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Views, ShareTheElements) {
  Tensor x = arange(0, 6).reshape({2, 3});
  for (const Tensor& view : {x.reshape({3, 2}), x.t(), x.slice(1, 0, 2), x[1], x.unsqueeze(0),
                             x.unsqueeze(1).squeeze(1), x.flatten(0), x.unsqueeze(0).expand({4, 2, 3}), x.detach()}) {
    const uint64_t before = view.version();
    x.add_(1);
    EXPECT_EQ(view.version(), before + 1);
  }
  x.t()[2].fill_(0);
  EXPECT_EQ(x.to_vector<int64_t>()[5], 0);
  EXPECT_EQ(x.reshape({3, 2}).data<int64_t>(), x.data<int64_t>());
  EXPECT_EQ(x[1].data<int64_t>(), x.data<int64_t>() + 3);
}

TEST(Views, ReshapeCopiesWhatIsNotContiguous) {
  const Tensor x = arange(0, 6).reshape({2, 3});
  const Tensor y = x.t().reshape({6});
  EXPECT_THAT(y.to_vector<int64_t>(), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_NE(y.data<int64_t>(), x.data<int64_t>());
}

TEST(Views, ReshapeRefusesOtherCounts) {
  const Tensor x = zeros({2, 3});
  EXPECT_ERROR(x.reshape({4, 2}), ShapeError,
               "reshape: 6 elements do not fill [4, 2], expected a shape of as many ([2, 3] to [4, 2])");
  EXPECT_ERROR(x.reshape({4, -1}), ShapeError,
               "reshape: 6 elements do not fill [4, -1], expected a shape of as many ([2, 3] to [4, -1])");
  EXPECT_ERROR(x.reshape({-1, -1}), ShapeError,
               "reshape: size -1 at dimension 1, expected 0 or more, or one -1 ([2, 3] to [-1, -1])");
  EXPECT_ERROR(x.reshape({-2, 3}), ShapeError,
               "reshape: size -2 at dimension 0, expected 0 or more, or one -1 ([2, 3] to [-2, 3])");
  EXPECT_ERROR(x.reshape({0, -1}), ShapeError,
               "reshape: 6 elements do not fill [0, -1], expected a shape of as many ([2, 3] to [0, -1])");
  EXPECT_ERROR(zeros({0}).reshape({0, -1}), ShapeError,
               "reshape: 0 elements do not fill [0, -1], expected a shape of as many ([0] to [0, -1])");
  EXPECT_ERROR(x.reshape({int64_t{1} << 62, 4}), ShapeError,
               "reshape: the new shape exceeds 64 bits ([2, 3] to [4611686018427387904, 4])");
  EXPECT_ERROR(x.reshape({int64_t{1} << 62, 4, -1}), ShapeError,
               "reshape: the new shape exceeds 64 bits ([2, 3] to [4611686018427387904, 4, -1])");
}

TEST(Views, FlattenNeedsAnOrder) {
  const Tensor x = zeros({2, 3, 4});
  EXPECT_ERROR(x.flatten(2, 1), ArgumentError,
               "flatten: start 2 lies behind end 1, expected start <= end (shape [2, 3, 4])");
  EXPECT_ERROR(x.flatten(3), IndexError, "flatten: dimension 3 is out of range, expected -3 <= dimension < 3");
  EXPECT_EQ(zeros({5}).flatten(0).shape(), (Shape{5}));
}

TEST(Views, RefuseDimensionsAndIndicesOutOfRange) {
  const Tensor x = zeros({2, 3});
  EXPECT_ERROR(x.transpose(0, 2), IndexError, "transpose: dimension 2 is out of range, expected -2 <= dimension < 2");
  EXPECT_ERROR(x.transpose(-3, 0), IndexError, "transpose: dimension -3 is out of range, expected -2 <= dimension < 2");
  EXPECT_ERROR(zeros({2, 3, 4}).t(), ShapeError, "t: tensor has 3 dimensions, expected 2 (tensor [2, 3, 4])");
  EXPECT_ERROR(x.slice(2, 0, 1), IndexError, "slice: dimension 2 is out of range, expected -2 <= dimension < 2");
  EXPECT_ERROR(x.slice(0, 0, 1, 0), ArgumentError, "slice: step is 0, expected at least 1 (shape [2, 3])");
  EXPECT_ERROR(x.slice(0, 0, 1, -1), ArgumentError, "slice: step is -1, expected at least 1 (shape [2, 3])");
  EXPECT_ERROR(zeros({}).slice(0, 0, 1), ShapeError,
               "slice: the tensor is a scalar, expected at least one dimension (shape [])");
  EXPECT_ERROR(x.select(0, 2), IndexError,
               "select: index 2 is out of range, expected -2 <= index < 2 (dimension 0 of [2, 3])");
  EXPECT_ERROR(x.select(1, -4), IndexError,
               "select: index -4 is out of range, expected -3 <= index < 3 (dimension 1 of [2, 3])");
  EXPECT_ERROR(x.select(5, 0), IndexError, "select: dimension 5 is out of range, expected -2 <= dimension < 2");
  EXPECT_ERROR(zeros({}).select(0, 0), ShapeError,
               "select: the tensor is a scalar, expected at least one dimension (shape [])");
  EXPECT_ERROR(zeros({0})[0], IndexError,
               "select: index 0 is out of range, expected 0 <= index < 0 (dimension 0 of [0])");
  EXPECT_ERROR(x.squeeze(0), ShapeError, "squeeze: dimension 0 is not of size 1 (shape [2, 3])");
  EXPECT_ERROR(x.squeeze(2), IndexError, "squeeze: dimension 2 is out of range, expected -2 <= dimension < 2");
  EXPECT_ERROR(x.unsqueeze(3), IndexError, "unsqueeze: dimension 3 is out of range, expected -3 <= dimension < 3");
  EXPECT_ERROR(zeros({1, 1, 1, 1, 1, 1, 1, 1}).unsqueeze(0), ShapeError,
               "shape: more than 8 dimensions, expected at most 8 (shape so far [1, 1, 1, 1, 1, 1, 1, 1], next 1)");
}

TEST(Views, ExpandRepeatsOnlySizesOfOne) {
  EXPECT_ERROR(zeros({2, 3}).expand({4, 3}), ShapeError,
               "expand: [2, 3] does not expand to [4, 3], sizes must be equal or 1 counted from the last dimension");
  EXPECT_ERROR(zeros({2, 3}).expand({3}), ShapeError,
               "expand: [2, 3] does not expand to [3], sizes must be equal or 1 counted from the last dimension");
  EXPECT_ERROR(zeros({1}).expand({-1}), ShapeError,
               "expand: [1] does not expand to [-1], sizes must be equal or 1 counted from the last dimension");
  EXPECT_EQ(zeros({3}).expand({1, 1, 3}).shape(), (Shape{1, 1, 3}));
}

TEST(Views, SliceClampsAsPythonDoes) {
  const Tensor x = arange(0, 5);
  EXPECT_THAT(x.slice(0, 1, 100).to_vector<int64_t>(), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(x.slice(0, -2, INT64_MAX).to_vector<int64_t>(), ElementsAre(3, 4));
  EXPECT_THAT(x.slice(0, INT64_MIN, 2).to_vector<int64_t>(), ElementsAre(0, 1));
  EXPECT_THAT(x.slice(0, 4, 1).to_vector<int64_t>(), IsEmpty());
  EXPECT_THAT(x.slice(0, 7, 9).to_vector<int64_t>(), IsEmpty());
  EXPECT_THAT(x.slice(0, 0, 5, INT64_MAX).to_vector<int64_t>(), ElementsAre(0));
  EXPECT_THAT(x.slice(0, 0, 5, 2).slice(0, 1, 3).to_vector<int64_t>(), ElementsAre(2, 4));
}

TEST(Views, OfViewsFindTheirElements) {
  const Tensor x = arange(0, 24).reshape({2, 3, 4});
  const Tensor y = x.transpose(0, 2).slice(0, 1, 4, 2).select(1, -1).t();  // y[i, j] = x[i, 2, 1 + 2 j]
  EXPECT_EQ(y.shape(), (Shape{2, 2}));
  EXPECT_THAT(y.to_vector<int64_t>(), ElementsAre(9, 11, 21, 23));
}

TEST(Views, KnowWhetherTheyAreContiguous) {
  const Tensor x = zeros({2, 3, 4});
  EXPECT_TRUE(x[1].is_contiguous());
  EXPECT_TRUE(x.slice(0, 0, 1).is_contiguous());
  EXPECT_FALSE(x.slice(1, 0, 2).is_contiguous());
  EXPECT_TRUE(x.slice(1, 0, 2)[0].is_contiguous());
  EXPECT_FALSE(x.transpose(0, 1).is_contiguous());
  EXPECT_TRUE(zeros({1, 5}).t().is_contiguous());  // the stride of a single entry does not matter
  EXPECT_TRUE(x.slice(0, 0, 0).is_contiguous());
  EXPECT_FALSE(zeros({1}).expand({3}).is_contiguous());
  EXPECT_TRUE(x.contiguous().is_same(x));
}

TEST(Views, RecordOnlyWithoutNoGrad) {
  const Tensor x = zeros({2, 3}, {.requires_grad = true});
  EXPECT_TRUE(x.t().requires_grad());
  EXPECT_FALSE(x.t().is_leaf());
  NoGrad no_grad;
  EXPECT_FALSE(x.t().requires_grad());
}

TEST(Cat, RefusesWhatDoesNotFit) {
  EXPECT_ERROR(cat({}), ArgumentError, "cat: the list is empty, expected at least one tensor");
  EXPECT_ERROR(cat({zeros({}), zeros({})}), ShapeError,
               "cat: a tensor is a scalar, expected a dimension to join along");
  EXPECT_ERROR(cat({zeros({2, 3}), zeros({2, 4})}), ShapeError,
               "cat: tensor 1 has shape [2, 4], expected that of the first, [2, 3], except in dimension 0");
  EXPECT_ERROR(cat({zeros({2, 3}), zeros({2})}, 1), ShapeError,
               "cat: tensor 1 has shape [2], expected that of the first, [2, 3], except in dimension 1");
  EXPECT_ERROR(cat({zeros({2}), zeros({2}, {.dtype = DType::int64})}), DTypeError,
               "cat: tensor is int64, first tensor is float32, expected one type (shapes [2], [2])");
  EXPECT_ERROR(cat({zeros({2})}, 1), IndexError, "cat: dimension 1 is out of range, expected -1 <= dimension < 1");
  EXPECT_ERROR(cat({Tensor(), zeros({2})}), ArgumentError, "cat: a tensor is undefined, expected a tensor");
  EXPECT_ERROR(cat({zeros({2}), Tensor()}), ArgumentError, "cat: a tensor is undefined, expected a tensor");
}

// ---- layouts
// -----------------------------------------------------------------------------------------------------------

class LayoutTest : public ::testing::TestWithParam<Layout> {
 protected:
  LayoutTest() : plain_(arange(0, 2 * 16 * 3 * 2, 1, {.dtype = DType::float32}).reshape({2, 16, 3, 2}).clone()) {}
  Tensor laid() const { return test::with_layout(plain_, GetParam()); }
  std::vector<float> expected() const { return plain_.to_vector<float>(); }
  Tensor plain_;
};

TEST_P(LayoutTest, ReadersSeeTheLogicalOrder) {
  EXPECT_EQ(laid().to_vector<float>(), expected());
  const Tensor x = laid();
  EXPECT_EQ(x.data<float>()[7], expected()[7]);
  EXPECT_EQ(detail::layout_of(x), Layout::plain);
  EXPECT_EQ(laid().str(), plain_.str());
  EXPECT_EQ(laid().slice(1, 3, 5).to_vector<float>(), plain_.slice(1, 3, 5).to_vector<float>());
  EXPECT_EQ(laid().transpose(1, 3).to_vector<float>(), plain_.transpose(1, 3).to_vector<float>());
  EXPECT_EQ(laid()[1].to_vector<float>(), plain_[1].to_vector<float>());
  EXPECT_EQ(laid().reshape({2, -1}).to_vector<float>(), expected());
  EXPECT_EQ(laid().to(DType::float64).to(DType::float32).to_vector<float>(), expected());
  EXPECT_EQ(sum(laid()).item(), sum(plain_).item());
}

TEST_P(LayoutTest, ChangingTheLayoutIsNoChange) {
  const Tensor x = laid();
  const uint64_t before = x.version();
  x.data<float>();
  EXPECT_EQ(x.version(), before);
}

TEST_P(LayoutTest, AViewAndItsBaseStayOne) {
  const Tensor x = laid();
  const Tensor same = x.detach();  // of the whole: keeps the layout
  EXPECT_EQ(detail::layout_of(same), GetParam());
  Tensor part = x.slice(1, 0, 1);
  part.fill_(-1);
  EXPECT_EQ(x.to_vector<float>()[0], -1);
  EXPECT_EQ(same.to_vector<float>(), x.to_vector<float>());
}

TEST_P(LayoutTest, CloneKeepsIt) {
  const Tensor x = laid();
  const Tensor y = x.clone();
  EXPECT_EQ(detail::layout_of(y), GetParam());
  EXPECT_EQ(y.to_vector<float>(), expected());
}

TEST_P(LayoutTest, InPlaceOperationsWork) {
  EXPECT_EQ(laid().fill_(3).to_vector<float>(), std::vector<float>(expected().size(), 3));
  EXPECT_EQ(laid().add_(laid()).to_vector<float>(), (plain_ + plain_).to_vector<float>());
  EXPECT_EQ(laid().add_(plain_).to_vector<float>(), (plain_ + plain_).to_vector<float>());
  EXPECT_EQ(plain_.clone().add_(laid()).to_vector<float>(), (plain_ + plain_).to_vector<float>());
  EXPECT_EQ(laid().mul_(2).to_vector<float>(), (plain_ * 2).to_vector<float>());
  EXPECT_EQ(zeros({2, 16, 3, 2}).copy_(laid()).to_vector<float>(), expected());
  EXPECT_EQ(laid().copy_(zeros({2, 16, 3, 2})).to_vector<float>(), std::vector<float>(expected().size(), 0));
  EXPECT_EQ(laid().copy_(laid()).to_vector<float>(), expected());
}

TEST_P(LayoutTest, ASavedTensorMayBecomePlain) {
  const Tensor x = laid().set_requires_grad();
  const Tensor y = square(x);
  x.data<float>();  // the host looks at the input, and at the result
  y.data<float>();
  y.sum().backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (plain_ * 2).to_vector<float>());
  EXPECT_EQ(detail::layout_of(x.grad()), Layout::plain);
}

INSTANTIATE_TEST_SUITE_P(All, LayoutTest, ::testing::Values(Layout::channels_last, Layout::blocked8, Layout::blocked16),
                         [](const auto& info) { return std::string(test::name_of(info.param)); });

}  // namespace
}  // namespace dnn
