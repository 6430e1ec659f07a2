// Element types: names, sizes, promotion, and the two 16-bit formats.
#include "dnn/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/harness/errors.h"

namespace dnn {
namespace {

using enum DType;
const std::vector<DType> all{float64, float32, DType::float16, DType::bfloat16, int64, int32, uint8, boolean};

TEST(DType, HasPyTorchsNames) {
  const std::vector<const char*> names{"float64", "float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool"};
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_STREQ(name_of(all[i]), names[i]);
    EXPECT_EQ(parse_dtype(names[i]), all[i]);
  }
  EXPECT_ERROR(
      parse_dtype("Float32"), ArgumentError,
      "dtype: \"Float32\" is no element type, expected one of float64, float32, float16, bfloat16, int64, int32, "
      "uint8, bool");
  EXPECT_ERROR(
      parse_dtype(""), ArgumentError,
      "dtype: \"\" is no element type, expected one of float64, float32, float16, bfloat16, int64, int32, uint8, "
      "bool");
}

TEST(DType, HasSizes) {
  const std::vector<size_t> sizes{8, 4, 2, 2, 8, 4, 1, 1};
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(size_of(all[i]), sizes[i]);
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(is_floating(all[i]), i < 4);
}

// torch.promote_types, all of it.
TEST(DType, PromotesAsPyTorchDoes) {
  const DType f64 = float64, f32 = float32, f16 = DType::float16, b16 = DType::bfloat16, i64 = int64, i32 = int32,
              u8 = uint8, b = boolean;
  const std::vector<std::vector<DType>> table{
      // f64 f32  f16  b16  i64  i32  u8   b
      {f64, f64, f64, f64, f64, f64, f64, f64},  // f64
      {f64, f32, f32, f32, f32, f32, f32, f32},  // f32
      {f64, f32, f16, f32, f16, f16, f16, f16},  // f16
      {f64, f32, f32, b16, b16, b16, b16, b16},  // b16
      {f64, f32, f16, b16, i64, i64, i64, i64},  // i64
      {f64, f32, f16, b16, i64, i32, i32, i32},  // i32
      {f64, f32, f16, b16, i64, i32, u8, u8},    // u8
      {f64, f32, f16, b16, i64, i32, u8, b},     // b
  };
  for (size_t i = 0; i < all.size(); ++i)
    for (size_t j = 0; j < all.size(); ++j)
      EXPECT_STREQ(name_of(promote_types(all[i], all[j])), name_of(table[i][j]))
          << name_of(all[i]) << " with " << name_of(all[j]);
}

TEST(Float16, ConvertsEveryValueToFloatAndBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    dnn::float16 half;
    half.bits = static_cast<uint16_t>(bits);
    const float value = half;
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(dnn::float16(value))));
      continue;
    }
    EXPECT_EQ(dnn::float16(value).bits, bits);
    // The definition: sign, exponent of 5 bits with bias 15, 10 bits of fraction.
    const int exponent = static_cast<int>(bits >> 10) & 31, fraction = static_cast<int>(bits) & 1023;
    double expected = exponent == 31  ? INFINITY
                      : exponent == 0 ? std::ldexp(fraction, -24)
                                      : std::ldexp(1024 + fraction, exponent - 25);
    if (bits & 0x8000) expected = -expected;
    EXPECT_EQ(value, expected);
  }
}

TEST(Float16, RoundsToNearestEven) {
  EXPECT_EQ(static_cast<float>(dnn::float16(2049.0f)), 2048);  // between 2048 and 2050: to the even fraction
  EXPECT_EQ(static_cast<float>(dnn::float16(2051.0f)), 2052);
  EXPECT_EQ(static_cast<float>(dnn::float16(2049.001f)), 2050);
  EXPECT_EQ(static_cast<float>(dnn::float16(65504.0f)), 65504);
  EXPECT_EQ(static_cast<float>(dnn::float16(65519.99f)), 65504);
  EXPECT_EQ(static_cast<float>(dnn::float16(65520.0f)), INFINITY);
  EXPECT_EQ(static_cast<float>(dnn::float16(-1e30f)), -INFINITY);
  EXPECT_EQ(static_cast<float>(dnn::float16(0x1p-24f)), 0x1p-24f);  // the smallest
  EXPECT_EQ(static_cast<float>(dnn::float16(0x1p-25f)), 0);         // half of it, to even
  EXPECT_EQ(static_cast<float>(dnn::float16(0x1.8p-25f)), 0x1p-24f);
  EXPECT_TRUE(std::signbit(static_cast<float>(dnn::float16(-0.0f))));
}

TEST(BFloat16, ConvertsEveryValueToFloatAndBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    dnn::bfloat16 brain;
    brain.bits = static_cast<uint16_t>(bits);
    const float value = brain;
    const uint32_t wide = bits << 16;
    float expected;
    std::memcpy(&expected, &wide, 4);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(std::isnan(static_cast<float>(dnn::bfloat16(value))));
      continue;
    }
    EXPECT_EQ(value, expected);
    EXPECT_EQ(dnn::bfloat16(value).bits, bits);
  }
}

TEST(BFloat16, RoundsToNearestEven) {
  EXPECT_EQ(static_cast<float>(dnn::bfloat16(257.0f)), 256);
  EXPECT_EQ(static_cast<float>(dnn::bfloat16(259.0f)), 260);
  EXPECT_EQ(static_cast<float>(dnn::bfloat16(std::numeric_limits<float>::max())), INFINITY);
  EXPECT_EQ(static_cast<float>(dnn::bfloat16(std::numeric_limits<float>::denorm_min())), 0);
  // A NaN whose payload lies in the lower half must not become infinity.
  const uint32_t bits = 0x7f800001;
  float nan;
  std::memcpy(&nan, &bits, 4);
  EXPECT_TRUE(std::isnan(static_cast<float>(dnn::bfloat16(nan))));
  EXPECT_TRUE(std::isnan(static_cast<float>(dnn::float16(nan))));
}

}  // namespace
}  // namespace dnn
