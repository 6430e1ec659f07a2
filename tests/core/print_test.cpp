// Printing: what torch prints for the same tensors.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "dnn/ops.h"

namespace dnn {
namespace {

TEST(Print, Vectors) {
  EXPECT_EQ(tensor({1, 2, 3}).str(), "tensor([1., 2., 3.])");
  EXPECT_EQ(tensor({1.5, -2, 0.25}).str(), "tensor([ 1.5000, -2.0000,  0.2500])");
  EXPECT_EQ(tensor({0}).str(), "tensor([0.])");
  EXPECT_EQ(tensor({10, 200, 3}).str(), "tensor([ 10., 200.,   3.])");
  EXPECT_EQ(tensor({1e-5, 1}).str(), "tensor([1.0000e-05, 1.0000e+00])");
  EXPECT_EQ(tensor({1.5, 20000.25}).str(), "tensor([1.5000e+00, 2.0000e+04])");
  EXPECT_EQ(tensor({1.5, 1000.25}).str(), "tensor([   1.5000, 1000.2500])");
  EXPECT_EQ(tensor({0.1, 0.01}).str(), "tensor([0.1000, 0.0100])");
}

TEST(Print, Scalars) {
  EXPECT_EQ(tensor({3}, {}).str(), "tensor(3.)");
  EXPECT_EQ(tensor({3.14159}, {}).str(), "tensor(3.1416)");
  EXPECT_EQ(full({}, 7, {.dtype = DType::int64}).str(), "tensor(7)");
  EXPECT_EQ(full({}, 1, {.dtype = DType::boolean}).str(), "tensor(True)");
}

TEST(Print, Matrices) {
  EXPECT_EQ(tensor({1, 2, 3, 4}, {2, 2}).str(),
            "tensor([[1., 2.],\n"
            "        [3., 4.]])");
  EXPECT_EQ(arange(0, 8).reshape({2, 2, 2}).str(),
            "tensor([[[0, 1],\n"
            "         [2, 3]],\n"
            "\n"
            "        [[4, 5],\n"
            "         [6, 7]]])");
  EXPECT_EQ(arange(0, 4).reshape({2, 2}).t().str(),
            "tensor([[0, 2],\n"
            "        [1, 3]])");
}

TEST(Print, OtherTypes) {
  EXPECT_EQ(arange(0, 3).str(), "tensor([0, 1, 2])");
  EXPECT_EQ(arange(-1, 2).str(), "tensor([-1,  0,  1])");
  EXPECT_EQ(tensor({1, 0}, {2}, {.dtype = DType::boolean}).str(), "tensor([ True, False])");
  EXPECT_EQ(tensor({1, 2}, {2}, {.dtype = DType::int32}).str(), "tensor([1, 2], dtype=int32)");
  EXPECT_EQ(tensor({1, 2}, {2}, {.dtype = DType::uint8}).str(), "tensor([1, 2], dtype=uint8)");
  EXPECT_EQ(tensor({1, 2.5}, {2}, {.dtype = DType::float64}).str(), "tensor([1.0000, 2.5000], dtype=float64)");
  EXPECT_EQ(tensor({1, 2}, {2}, {.dtype = DType::bfloat16}).str(), "tensor([1., 2.], dtype=bfloat16)");
  EXPECT_EQ(tensor({1.5}, {1}, {.dtype = DType::float16}).str(), "tensor([1.5000], dtype=float16)");
  EXPECT_EQ(full({1}, int64_t{9007199254740993}, {.dtype = DType::int64}).str(), "tensor([9007199254740993])");
}

TEST(Print, SpecialNumbers) {
  EXPECT_EQ(tensor({NAN, INFINITY, -INFINITY}).str(), "tensor([nan, inf, -inf])");
  EXPECT_EQ(tensor({1.5, NAN}).str(), "tensor([1.5000,    nan])");
  EXPECT_EQ(tensor({1, INFINITY}).str(), "tensor([1., inf])");
  EXPECT_EQ(tensor({-0.0}).str(), "tensor([-0.])");
}

TEST(Print, Nothing) {
  EXPECT_EQ(zeros({0}).str(), "tensor([])");
  EXPECT_EQ(zeros({0, 3}).str(), "tensor([], size=[0, 3])");
  EXPECT_EQ(zeros({0}, {.dtype = DType::int64}).str(), "tensor([], dtype=int64)");
  EXPECT_EQ(Tensor().str(), "tensor(undefined)");
}

TEST(Print, WhatRequiresAGradient) {
  EXPECT_EQ(tensor({1}).set_requires_grad().str(), "tensor([1.], requires_grad=True)");
}

TEST(Print, BreaksLongLines) {
  EXPECT_EQ(arange(100, 125).str(),
            "tensor([100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113,\n"
            "        114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124])");
}

TEST(Print, ShortensLongDimensions) {
  EXPECT_EQ(arange(0, 1001).str(), "tensor([   0,    1,    2,  ...,  998,  999, 1000])");
  EXPECT_EQ(zeros({1001}).str(), "tensor([0., 0., 0.,  ..., 0., 0., 0.])");
  EXPECT_EQ(zeros({40, 40}).str(),
            "tensor([[0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        ...,\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.]])");
}

TEST(Print, GoesToStreams) {
  std::ostringstream stream;
  stream << tensor({1}) << Tensor();
  EXPECT_EQ(stream.str(), "tensor([1.])tensor(undefined)");
}

}  // namespace
}  // namespace dnn
