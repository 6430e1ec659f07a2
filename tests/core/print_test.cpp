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

// What str(tensor) gives in PyTorch, without "torch." before the types.
TEST(Print, NumbersAsPyTorchWritesThem) {
  EXPECT_EQ(tensor({10000000000.0, 1.0}).str(), "tensor([1.0000e+10, 1.0000e+00])");
  EXPECT_EQ(tensor({1e-05}).str(), "tensor([1.0000e-05])");
  EXPECT_EQ(tensor({123456.789}).str(), "tensor([123456.7891])");
  EXPECT_EQ(tensor({1234567.0}).str(), "tensor([1234567.])");
  EXPECT_EQ(tensor({123456789.0}).str(), "tensor([1.2346e+08])");
  EXPECT_EQ(tensor({100000000.0}).str(), "tensor([100000000.])");
  EXPECT_EQ(tensor({99999999.0}).str(), "tensor([100000000.])");
  EXPECT_EQ(tensor({-1e-05, 2.0}).str(), "tensor([-1.0000e-05,  2.0000e+00])");
  EXPECT_EQ(tensor({0.001, 1.0}).str(), "tensor([0.0010, 1.0000])");
  EXPECT_EQ(tensor({0.00099, 1.0}).str(), "tensor([9.9000e-04, 1.0000e+00])");
  EXPECT_EQ(tensor({1.0, NAN, -INFINITY}).str(), "tensor([1., nan, -inf])");
  EXPECT_EQ(tensor({1.5, NAN, -INFINITY}).str(), "tensor([1.5000,    nan,   -inf])");
  EXPECT_EQ(tensor({1e-05, INFINITY}).str(), "tensor([1.0000e-05,        inf])");
  EXPECT_EQ(tensor({-1.0, NAN}).str(), "tensor([-1., nan])");
  EXPECT_EQ(tensor({-1.5, INFINITY}).str(), "tensor([-1.5000,     inf])");
  EXPECT_EQ(tensor({100.5, -INFINITY}).str(), "tensor([100.5000,     -inf])");
  EXPECT_EQ(tensor({0.0, 0.5}).str(), "tensor([0.0000, 0.5000])");
  EXPECT_EQ(tensor({-0.0, 1.5}).str(), "tensor([-0.0000, 1.5000])");
  EXPECT_EQ(tensor({1000.0, 1.5}).str(), "tensor([1000.0000,    1.5000])");
  EXPECT_EQ(tensor({10000.5, 1.0}).str(), "tensor([1.0000e+04, 1.0000e+00])");
  EXPECT_EQ(tensor({1001.5, 1.5}).str(), "tensor([1001.5000,    1.5000])");
  EXPECT_EQ(tensor({0.99999}).str(), "tensor([1.0000])");
  EXPECT_EQ(tensor({0.00012345, 0.01}).str(), "tensor([0.0001, 0.0100])");
  EXPECT_EQ(tensor({5e-324}, {1}, {.dtype = DType::float64}).str(), "tensor([4.9407e-324], dtype=float64)");
  EXPECT_EQ(tensor({1e+300, -1e-300}, {2}, {.dtype = DType::float64}).str(),
            "tensor([ 1.0000e+300, -1.0000e-300], dtype=float64)");
  EXPECT_EQ(tensor({3.14159265358979}, {1}, {.dtype = DType::float64}).str(), "tensor([3.1416], dtype=float64)");
  EXPECT_EQ(tensor({65504.0, 0.1}, {2}, {.dtype = DType::float16}).str(),
            "tensor([6.5504e+04, 9.9976e-02], dtype=float16)");
  EXPECT_EQ(tensor({0.1, 0.2}, {2}, {.dtype = DType::bfloat16}).str(), "tensor([0.1001, 0.2002], dtype=bfloat16)");
  EXPECT_EQ(from_values(std::vector<int64_t>{-100, 5, 7}, {3}).str(), "tensor([-100,    5,    7])");
  EXPECT_EQ(from_values(std::vector<int64_t>{int64_t{1} << 62, -1}, {2}).str(),
            "tensor([4611686018427387904,                  -1])");
  EXPECT_EQ(tensor({255, 0}, {2}, {.dtype = DType::uint8}).str(), "tensor([255,   0], dtype=uint8)");
  EXPECT_EQ(tensor({1, 0, 1}, {3}, {.dtype = DType::boolean}).str(), "tensor([ True, False,  True])");
  EXPECT_EQ(tensor({NAN}).str(), "tensor([nan])");
  EXPECT_EQ(tensor({INFINITY}).str(), "tensor([inf])");
  EXPECT_EQ(tensor({NAN, NAN, 1.0}).str(), "tensor([nan, nan, 1.])");
  EXPECT_EQ(tensor({100000.0, 1000000.0, 10000000.0}).str(), "tensor([  100000.,  1000000., 10000000.])");
  EXPECT_EQ(tensor({0.1, 100000.0}).str(), "tensor([1.0000e-01, 1.0000e+05])");
  EXPECT_EQ(tensor({20000.25, 20.0}).str(), "tensor([2.0000e+04, 2.0000e+01])");
  EXPECT_EQ(tensor({1.0, 2.5, 1000000000.0}).str(), "tensor([1.0000e+00, 2.5000e+00, 1.0000e+09])");
  EXPECT_EQ(full({}, 1e-7).str(), "tensor(1.0000e-07)");
  EXPECT_EQ(full({}, -INFINITY).str(), "tensor(-inf)");
  EXPECT_EQ(full({}, 123456789).str(), "tensor(1.2346e+08)");
}

TEST(Print, LinesAsPyTorchBreaksThem) {
  EXPECT_EQ((arange(0, 60, 1, {.dtype = DType::float32}) * 0.37).str(),
            "tensor([ 0.0000,  0.3700,  0.7400,  1.1100,  1.4800,  1.8500,  2.2200,  2.5900,\n"
            "         2.9600,  3.3300,  3.7000,  4.0700,  4.4400,  4.8100,  5.1800,  5.5500,\n"
            "         5.9200,  6.2900,  6.6600,  7.0300,  7.4000,  7.7700,  8.1400,  8.5100,\n"
            "         8.8800,  9.2500,  9.6200,  9.9900, 10.3600, 10.7300, 11.1000, 11.4700,\n"
            "        11.8400, 12.2100, 12.5800, 12.9500, 13.3200, 13.6900, 14.0600, 14.4300,\n"
            "        14.8000, 15.1700, 15.5400, 15.9100, 16.2800, 16.6500, 17.0200, 17.3900,\n"
            "        17.7600, 18.1300, 18.5000, 18.8700, 19.2400, 19.6100, 19.9800, 20.3500,\n"
            "        20.7200, 21.0900, 21.4600, 21.8300])");
  EXPECT_EQ((arange(0, 30, 1, {.dtype = DType::float32}) * 1000.5).reshape({2, 15}).str(),
            "tensor([[    0.0000,  1000.5000,  2001.0000,  3001.5000,  4002.0000,  5002.5000,\n"
            "          6003.0000,  7003.5000,  8004.0000,  9004.5000, 10005.0000, 11005.5000,\n"
            "         12006.0000, 13006.5000, 14007.0000],\n"
            "        [15007.5000, 16008.0000, 17008.5000, 18009.0000, 19009.5000, 20010.0000,\n"
            "         21010.5000, 22011.0000, 23011.5000, 24012.0000, 25012.5000, 26013.0000,\n"
            "         27013.5000, 28014.0000, 29014.5000]])");
  EXPECT_EQ(arange(0, 16).reshape({2, 1, 2, 4}).str(),
            "tensor([[[[ 0,  1,  2,  3],\n"
            "          [ 4,  5,  6,  7]]],\n"
            "\n"
            "\n"
            "        [[[ 8,  9, 10, 11],\n"
            "          [12, 13, 14, 15]]]])");
  EXPECT_EQ(arange(0, 2000).reshape({2, 1000}).str(),
            "tensor([[   0,    1,    2,  ...,  997,  998,  999],\n"
            "        [1000, 1001, 1002,  ..., 1997, 1998, 1999]])");
  EXPECT_EQ((arange(0, 1200, 1, {.dtype = DType::float32}) * 0.5).reshape({2, 20, 30}).str(),
            "tensor([[[0.0000e+00, 5.0000e-01, 1.0000e+00,  ..., 1.3500e+01,\n"
            "          1.4000e+01, 1.4500e+01],\n"
            "         [1.5000e+01, 1.5500e+01, 1.6000e+01,  ..., 2.8500e+01,\n"
            "          2.9000e+01, 2.9500e+01],\n"
            "         [3.0000e+01, 3.0500e+01, 3.1000e+01,  ..., 4.3500e+01,\n"
            "          4.4000e+01, 4.4500e+01],\n"
            "         ...,\n"
            "         [2.5500e+02, 2.5550e+02, 2.5600e+02,  ..., 2.6850e+02,\n"
            "          2.6900e+02, 2.6950e+02],\n"
            "         [2.7000e+02, 2.7050e+02, 2.7100e+02,  ..., 2.8350e+02,\n"
            "          2.8400e+02, 2.8450e+02],\n"
            "         [2.8500e+02, 2.8550e+02, 2.8600e+02,  ..., 2.9850e+02,\n"
            "          2.9900e+02, 2.9950e+02]],\n"
            "\n"
            "        [[3.0000e+02, 3.0050e+02, 3.0100e+02,  ..., 3.1350e+02,\n"
            "          3.1400e+02, 3.1450e+02],\n"
            "         [3.1500e+02, 3.1550e+02, 3.1600e+02,  ..., 3.2850e+02,\n"
            "          3.2900e+02, 3.2950e+02],\n"
            "         [3.3000e+02, 3.3050e+02, 3.3100e+02,  ..., 3.4350e+02,\n"
            "          3.4400e+02, 3.4450e+02],\n"
            "         ...,\n"
            "         [5.5500e+02, 5.5550e+02, 5.5600e+02,  ..., 5.6850e+02,\n"
            "          5.6900e+02, 5.6950e+02],\n"
            "         [5.7000e+02, 5.7050e+02, 5.7100e+02,  ..., 5.8350e+02,\n"
            "          5.8400e+02, 5.8450e+02],\n"
            "         [5.8500e+02, 5.8550e+02, 5.8600e+02,  ..., 5.9850e+02,\n"
            "          5.9900e+02, 5.9950e+02]]])");
  EXPECT_EQ((arange(0, 8).reshape({2, 4}) > 3).str(),
            "tensor([[False, False, False, False],\n"
            "        [ True,  True,  True,  True]])");
  EXPECT_EQ((arange(0, 1500) > 700).str(), "tensor([False, False, False,  ...,  True,  True,  True])");
}

TEST(Print, GoesToStreams) {
  std::ostringstream stream;
  stream << tensor({1}) << Tensor();
  EXPECT_EQ(stream.str(), "tensor([1.])tensor(undefined)");
}

}  // namespace
}  // namespace dnn
