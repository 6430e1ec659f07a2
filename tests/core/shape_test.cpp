// Shapes: sizes, limits, overflow, broadcasting.
#include "dnn/shape.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/harness/errors.h"

namespace dnn {
namespace {

constexpr int64_t huge = int64_t{1} << 62;

TEST(Shape, HoldsUpToEightSizes) {
  EXPECT_EQ(Shape{}.rank(), 0);
  EXPECT_TRUE(Shape{}.empty());
  const Shape shape{64, 3, 32, 32};
  EXPECT_EQ(shape.rank(), 4);
  EXPECT_EQ(shape[1], 3);
  EXPECT_EQ(shape.str(), "[64, 3, 32, 32]");
  EXPECT_EQ(Shape{}.str(), "[]");
  EXPECT_EQ((Shape{1, 2, 3, 4, 5, 6, 7, 8}).rank(), 8);
  EXPECT_ERROR((Shape{1, 2, 3, 4, 5, 6, 7, 8, 9}), ShapeError,
               "shape: more than 8 dimensions, expected at most 8 (shape so far [1, 2, 3, 4, 5, 6, 7, 8], next 9)");
  const std::vector<int64_t> sizes{2, 3};
  EXPECT_EQ(Shape(std::span(sizes)), (Shape{2, 3}));
}

TEST(Shape, ComparesSizesAndRanks) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2}), (Shape{2, 1}));
  EXPECT_NE(Shape{}, Shape{1});
}

TEST(Shape, CountsNegativeDimensionsFromTheEnd) {
  const Shape shape{4, 5, 6};
  EXPECT_EQ(shape.at(0), 4);
  EXPECT_EQ(shape.at(-1), 6);
  EXPECT_EQ(shape.at(-3), 4);
  EXPECT_ERROR(shape.at(3), IndexError, "shape: dimension 3 is out of range, expected -3 <= dimension < 3");
  EXPECT_ERROR(shape.at(-4), IndexError, "shape: dimension -4 is out of range, expected -3 <= dimension < 3");
  EXPECT_ERROR(Shape{}.at(0), IndexError,
               "shape: dimension 0 is out of range, expected none: a scalar has no dimensions");
}

TEST(Shape, MultipliesSizesWithinSixtyFourBits) {
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ((Shape{2, 3, 4}).numel(), 24);
  EXPECT_EQ((Shape{2, 0, 4}).numel(), 0);
  EXPECT_EQ((Shape{0, huge, huge}).numel(), 0);
  EXPECT_EQ((Shape{huge, huge, 0}).numel(), 0);
  EXPECT_EQ((Shape{huge}).numel(), huge);
  EXPECT_ERROR((Shape{huge, 2}).numel(), ShapeError,
               "shape: the number of elements exceeds 64 bits (shape [4611686018427387904, 2])");
  EXPECT_ERROR((Shape{3, -1}).numel(), ShapeError, "shape: size -1 is negative, expected 0 or more (shape [3, -1])");
  EXPECT_ERROR((Shape{0, -1}).numel(), ShapeError, "shape: size -1 is negative, expected 0 or more (shape [0, -1])");
}

TEST(Shape, TakesOutAndPutsInDimensions) {
  const Shape shape{4, 5, 6};
  EXPECT_EQ(shape.without(1), (Shape{4, 6}));
  EXPECT_EQ(shape.without(-1), (Shape{4, 5}));
  EXPECT_EQ(shape.with(0, 9), (Shape{9, 4, 5, 6}));
  EXPECT_EQ(shape.with(3, 9), (Shape{4, 5, 6, 9}));
  EXPECT_EQ(Shape{}.with(0, 9), (Shape{9}));
}

TEST(Shape, HasRowMajorStrides) {
  EXPECT_EQ(contiguous_strides({2, 3, 4}), (Strides{12, 4, 1}));
  EXPECT_EQ(contiguous_strides({}), Strides{});
  EXPECT_EQ(contiguous_strides({2, 0, 4}), (Strides{4, 4, 1}));
  // No elements, so no stride matters; nothing may overflow.
  EXPECT_EQ(contiguous_strides({0, huge, huge}).rank(), 3);
}

TEST(Shape, Broadcasts) {
  EXPECT_EQ(broadcast_shapes({3, 1}, {4}), (Shape{3, 4}));
  EXPECT_EQ(broadcast_shapes({}, {2, 3}), (Shape{2, 3}));
  EXPECT_EQ(broadcast_shapes({5, 1, 3}, {1, 7, 1}), (Shape{5, 7, 3}));
  EXPECT_EQ(broadcast_shapes({0, 3}, {1, 3}), (Shape{0, 3}));
  EXPECT_EQ(broadcast_shapes({1}, {0}), (Shape{0}));
  EXPECT_ERROR(
      broadcast_shapes({2, 3}, {4, 3}, "add"), ShapeError,
      "add: shapes [2, 3] and [4, 3] do not broadcast, sizes must be equal or 1 counted from the last dimension");
  EXPECT_ERROR(
      broadcast_shapes({2}, {0}), ShapeError,
      "broadcast: shapes [2] and [0] do not broadcast, sizes must be equal or 1 counted from the last dimension");
}

}  // namespace
}  // namespace dnn
