// The polynomials of core/math.h against the standard library in float64, over the whole range of float, as the scalar
// functions that this file compiles and as the vectorised loops of both variants.
#include "core/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "core/kernels/elementwise.h"
#include "tests/core/variants.h"

namespace dnn {
namespace {

using test::for_each_variant;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

// The error of `actual` in units of the last place that a float of that magnitude has; infinite for a wrong special
// value.
double error_in_ulp(float actual, double exact) {
  const float rounded = static_cast<float>(exact);
  if (std::isnan(exact)) return std::isnan(actual) ? 0 : infinity;
  if (std::isinf(rounded)) return actual == rounded ? 0 : infinity;
  if (std::signbit(actual) != std::signbit(exact)) return infinity;
  if (exact == 0) return actual == 0 ? 0 : infinity;
  const double unit = std::ldexp(1.0, std::max(std::ilogb(exact), -126) - 23);
  return std::abs(actual - exact) / unit;
}

// Every `step`-th float of each sign, and the ends of all ranges.
std::vector<float> all_floats(uint32_t step) {
  std::vector<float> values{0.0f, -0.0f, infinity, -infinity, nan, 0x1p-149f, -0x1p-149f, 0x1p-126f, -0x1p-126f};
  const float limit = std::numeric_limits<float>::max();
  for (const float edge : {limit, 1.0f, 0.625f, 88.72283f, 88.72284f, -87.33654f, -103.97f, -103.98f, -104.0f, 89.0f}) {
    for (const float x : {edge, std::nextafter(edge, 0.0f), std::nextafter(edge, 1e30f), -edge}) values.push_back(x);
  }
  for (uint64_t bits = 0; bits <= 0xffffffffu; bits += step) {
    values.push_back(detail::bits_float(static_cast<uint32_t>(bits)));
  }
  return values;
}

template <class F>
void expect_within(double ulps, double (*exact)(double)) {
  const std::vector<float> inputs = all_floats(1021);
  const Tensor x = from_values(inputs, {static_cast<int64_t>(inputs.size())});
  const Tensor y = empty_like(x);
  kernel::unary_forward<F>[Device::cpu()](F{}, x, y);
  const float* results = y.data<float>();
  double worst = -1;
  float worst_input = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const double error = error_in_ulp(results[i], exact(static_cast<double>(inputs[i])));
    if (error > worst) worst = error, worst_input = inputs[i];
  }
  EXPECT_LE(worst, ulps) << F::name << " of " << worst_input;
}

TEST(Math, ExpIsWithin2Ulp) {
  for_each_variant([] { expect_within<functor::Exp>(2, std::exp); });
}

TEST(Math, LogIsWithin2Ulp) {
  for_each_variant([] { expect_within<functor::Log>(2, std::log); });
}

TEST(Math, TanhIsWithin2Ulp) {
  for_each_variant([] { expect_within<functor::Tanh>(2, std::tanh); });
}

TEST(Math, Log1pExpm1AndErfAreWithin3Ulp) {
  for_each_variant([] {
    expect_within<functor::Log1p>(3, std::log1p);
    expect_within<functor::Expm1>(2, std::expm1);
    expect_within<functor::Erf>(2, std::erf);
  });
}

TEST(Math, RoundingAndTheStandardLibrarysFunctions) {
  for_each_variant([] {
    expect_within<functor::Floor>(0, std::floor);
    expect_within<functor::Ceil>(0, std::ceil);
    expect_within<functor::Round>(0, std::nearbyint);
    expect_within<functor::Sin>(1, std::sin);
    expect_within<functor::Cos>(1, std::cos);
  });
}

TEST(Math, BelowIsTheUpperHalfOfTheProduct) {
  EXPECT_EQ(math::below(0, 100), 0u);
  EXPECT_EQ(math::below(UINT64_MAX, 100), 99u);
  EXPECT_EQ(math::below(uint64_t{1} << 63, 101), 50u);
  EXPECT_EQ(math::below(UINT64_MAX, UINT64_MAX), UINT64_MAX - 1);
  EXPECT_EQ(math::below(0x123456789abcdef0, 0xfedcba9876543210), 0x121fa00ad77d7422u);
}

TEST(Math, SqrtIsRoundedCorrectly) {
  for_each_variant([] { expect_within<functor::Sqrt>(0.5, std::sqrt); });
}

TEST(Math, ScalarCallsAgreeWithTheLoops) {
  const std::vector<float> inputs = all_floats(100003);
  for (const float x : inputs) {
    ASSERT_LE(error_in_ulp(math::exp(x), std::exp(static_cast<double>(x))), 2) << x;
    ASSERT_LE(error_in_ulp(math::log(x), std::log(static_cast<double>(x))), 2) << x;
    ASSERT_LE(error_in_ulp(math::tanh(x), std::tanh(static_cast<double>(x))), 2) << x;
  }
}

TEST(Math, SineAndCosineOfATurn) {
  for (uint32_t i = 0; i <= 1u << 24; i += 97) {
    const float x = static_cast<float>(i) * 0x1p-24f;
    float sine = 0, cosine = 0;
    math::sin_cos_turns(x, sine, cosine);
    const double angle = 2 * std::numbers::pi * static_cast<double>(x);
    ASSERT_NEAR(sine, std::sin(angle), 1.2e-7) << x;
    ASSERT_NEAR(cosine, std::cos(angle), 1.2e-7) << x;
  }
}

TEST(Math, UniformNumbersStayBelowOne) {
  for (const uint32_t word : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffff7fu, 0xffffff80u, 0xffffffffu}) {
    EXPECT_LT(math::uniform<double>(word), 1);
    EXPECT_EQ(math::uniform<double>(word), (word >> 8) * 0x1p-24);
    EXPECT_EQ(math::uniform<float>(word), static_cast<float>(math::uniform<double>(word)));
    EXPECT_EQ(static_cast<float>(math::uniform<float16>(word)), static_cast<float>(word >> 21) * 0x1p-11f);
    EXPECT_EQ(static_cast<float>(math::uniform<bfloat16>(word)), static_cast<float>(word >> 24) * 0x1p-8f);
  }
}

TEST(Math, NormalNumbersAreFiniteForEveryWord) {
  for (const uint32_t word : {0u, 1u, 2u, 0x7fffffffu, 0x80000000u, 0xffffff7fu, 0xffffffffu}) {
    float normal0 = nan, normal1 = nan;
    math::box_muller(word, 0x12345678u, normal0, normal1);
    const double radius = std::hypot(static_cast<double>(normal0), static_cast<double>(normal1));
    EXPECT_NEAR(radius, std::sqrt(-2 * std::log((word + 0.5) * 0x1p-32)), 2e-4) << word;
    EXPECT_NEAR(normal1 * std::cos(2 * std::numbers::pi * 0x12345678 * 0x1p-32),
                normal0 * std::sin(2 * std::numbers::pi * 0x12345678 * 0x1p-32), 1e-6);
  }
}

TEST(Math, IntegersWrapAround) {
  constexpr int32_t most = std::numeric_limits<int32_t>::max(), least = std::numeric_limits<int32_t>::min();
  EXPECT_EQ(math::add(most, 1), least);
  EXPECT_EQ(math::sub(least, 1), most);
  EXPECT_EQ(math::mul(most, 2), -2);
  EXPECT_EQ(math::mul(std::numeric_limits<int64_t>::min(), int64_t{-1}), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(math::add(uint8_t{200}, uint8_t{100}), 44);
  EXPECT_EQ(math::number<uint8_t>(-1), 255);
  EXPECT_EQ(functor::Abs{}.forward(least), least);
}

// The value of a half by its definition.
double half_value(uint32_t bits) {
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
  if (exponent == 31) return fraction == 0 ? sign * infinity : static_cast<double>(nan);
  return exponent == 0 ? sign * std::ldexp(fraction, -24) : sign * std::ldexp(1024 + fraction, exponent - 25);
}

TEST(Float16, EveryValueConvertsThereAndBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float16 half;
    half.bits = static_cast<uint16_t>(bits);
    const float value = half;
    if (std::isnan(half_value(bits))) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_TRUE(std::isnan(static_cast<float>(float16(value)))) << bits;
    } else {
      ASSERT_EQ(value, half_value(bits)) << bits;
      ASSERT_EQ(float16(value).bits, bits);
    }
  }
}

TEST(Float16, RoundsToTheNearestEven) {
  for (const float x : all_floats(10007)) {
    if (std::isnan(x)) continue;
    const double magnitude = std::abs(static_cast<double>(x));
    const double unit = std::ldexp(1.0, std::max(magnitude == 0 ? -14 : std::ilogb(magnitude), -14) - 10);
    const double rounded = magnitude >= 65520 ? infinity : std::nearbyint(magnitude / unit) * unit;
    ASSERT_EQ(static_cast<float>(float16(x)), std::copysign(rounded, static_cast<double>(x))) << x;
  }
}

TEST(BFloat16, RoundsToTheNearestEven) {
  for (const float x : all_floats(10007)) {
    if (std::isnan(x)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(x))));
      continue;
    }
    if (std::isinf(x)) {
      EXPECT_EQ(static_cast<float>(bfloat16(x)), x);
      continue;
    }
    const double value = static_cast<double>(x);
    const double unit = std::ldexp(1.0, std::max(x == 0 ? -126 : std::ilogb(value), -126) - 7);
    const double rounded = std::nearbyint(value / unit) * unit;
    ASSERT_EQ(static_cast<float>(bfloat16(x)), static_cast<float>(rounded)) << x;  // to infinity beyond the largest
  }
}

}  // namespace
}  // namespace dnn
