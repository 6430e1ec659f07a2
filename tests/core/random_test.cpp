// The generator: the published test vectors, states, and what is drawn from it.
#include "dnn/random.h"

#include <gmock/gmock.h>

#include <cmath>
#include <thread>
#include <vector>

#include "dnn/ops/dropout.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/reduce.h"
#include "dnn/ops/unary.h"
#include "tests/harness/errors.h"

namespace dnn {
namespace {

using ::testing::ElementsAre;
using ::testing::Pointwise;

// Random123's known answers for philox4x32-10: counter (c0, c1, c2, c3), key (k0, k1).
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_THAT(philox(0, 0, 0), ElementsAre(0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u));
  EXPECT_THAT(philox(UINT64_MAX, UINT64_MAX, UINT64_MAX),
              ElementsAre(0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu));
  // counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0
  EXPECT_THAT(philox(0x299f31d0a4093822u, 0x0370734413198a2eu, 0x85a308d3243f6a88u),
              ElementsAre(0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u));
}

TEST(Generator, RepeatsFromAState) {
  Generator a(42), b(42), c(43);
  EXPECT_EQ(a.next_word(), b.next_word());
  EXPECT_EQ(a.next_word(), b.next_word());
  EXPECT_EQ(a.offset(), 2u);
  EXPECT_EQ(a.seed(), 42u);
  const Generator kept = a;
  const uint32_t next = a.next_word();
  a = kept;
  EXPECT_EQ(a.next_word(), next);
  Generator restored;
  restored.set_state(42, 2);
  EXPECT_EQ(restored.next_word(), next);
  EXPECT_NE(Generator(42).next_word(), c.next_word());
}

TEST(Generator, DrawsEvenly) {
  Generator generator(1);
  double sum = 0, squares = 0;
  std::vector<int> counts(7);
  const int n = 20000;
  for (int i = 0; i < n; ++i) {
    const double u = generator.uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    const double x = generator.normal();
    ASSERT_TRUE(std::isfinite(x));
    squares += x * x;
    ++counts[generator.below(7)];
  }
  EXPECT_NEAR(sum / n, 0.5, 0.01);
  EXPECT_NEAR(squares / n, 1, 0.04);
  for (int count : counts) EXPECT_NEAR(count, n / 7, 250);
}

TEST(Generator, DrawsBelowAnyBound) {
  Generator generator(1);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(generator.below(1), 0u);
    EXPECT_LT(generator.below((uint64_t{1} << 63) + 1), (uint64_t{1} << 63) + 1);
    EXPECT_LT(generator.below(UINT64_MAX), UINT64_MAX);
  }
  EXPECT_ERROR(generator.below(0), ArgumentError, "below: bound is 0, expected a positive number");
}

TEST(Random, OneSeedOneResult) {
  manual_seed(3);
  const auto first = randn({100}).to_vector<float>();
  const auto second = randn({100}).to_vector<float>();
  EXPECT_NE(first, second);
  manual_seed(3);
  EXPECT_EQ(randn({100}).to_vector<float>(), first);
  EXPECT_EQ(default_generator().offset(), 1u);
  manual_seed(4);
  EXPECT_NE(randn({100}).to_vector<float>(), first);
}

TEST(Random, EveryThreadHasItsOwnDefaultGenerator) {
  manual_seed(3);
  std::thread([] { manual_seed(9), rand({5}); }).join();
  EXPECT_EQ(default_generator().seed(), 3u);
  EXPECT_EQ(default_generator().offset(), 0u);
}

TEST(Random, NumbersDoNotDependOnHowManyAreDrawn) {
  manual_seed(3);
  const auto many = rand({101}).to_vector<float>();
  manual_seed(3);
  const auto few = rand({9}).to_vector<float>();
  EXPECT_THAT(few, Pointwise(::testing::Eq(), std::vector<float>(many.begin(), many.begin() + 9)));
}

TEST(Random, HasTheRightMoments) {
  manual_seed(1);
  const Tensor uniform = rand({1 << 16}), normal = randn({1 << 16});
  EXPECT_NEAR(uniform.mean().item(), 0.5, 0.005);
  EXPECT_GE(min(uniform).item(), 0);
  EXPECT_LT(max(uniform).item(), 1);
  EXPECT_NEAR(normal.mean().item(), 0, 0.015);
  EXPECT_NEAR(square(normal).mean().item(), 1, 0.02);
  EXPECT_GT(max(normal).item(), 3.5);
}

TEST(Random, UniformNumbersStayBelowOneInEveryType) {
  for (const DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
    manual_seed(1);
    const Tensor x = rand({1 << 16}, {.dtype = type}).to(DType::float64);
    EXPECT_LT(max(x).item(), 1) << name_of(type);
    EXPECT_GE(min(x).item(), 0) << name_of(type);
  }
}

TEST(Random, InPlaceItDrawsTheSameNumbers) {
  manual_seed(3);
  const auto uniform = rand({4, 6}).to_vector<float>(), normal = randn({4, 6}).to_vector<float>();
  Tensor x = zeros({4, 6}), columns = zeros({6, 4}).t();
  const uint64_t version = x.version();
  manual_seed(3);
  rand_(x);
  EXPECT_EQ(x.to_vector<float>(), uniform);
  EXPECT_GT(x.version(), version);
  manual_seed(3);
  rand_(columns), randn_(columns);
  EXPECT_EQ(columns.contiguous().to_vector<float>(), normal);
  EXPECT_ERROR(rand_(zeros({2}).set_requires_grad()), AutogradError,
               "rand_: the tensor requires a gradient, expected one that autograd does not record, or NoGrad (shape "
               "[2], a leaf)");
}

TEST(Random, NeedsAFloatingType) {
  EXPECT_ERROR(rand_(zeros({2}, {.dtype = DType::int64})), DTypeError,
               "rand_: t is int64, expected a floating type (t [2])");
  EXPECT_ERROR(rand({2}, {.dtype = DType::int64}), DTypeError,
               "rand: options.dtype is int64, expected a floating type (options.dtype [2])");
  EXPECT_ERROR(randn({2}, {.dtype = DType::uint8}), DTypeError,
               "randn: options.dtype is uint8, expected a floating type (options.dtype [2])");
}

TEST(Dropout, KeepsTheMeanAndTheShare) {
  manual_seed(1);
  const Tensor y = dropout(ones({1 << 16}), {.p = 0.25});
  const auto values = y.to_vector<float>();
  const auto zeros = std::count(values.begin(), values.end(), 0.0f);
  EXPECT_NEAR(static_cast<double>(zeros) / (1 << 16), 0.25, 0.01);
  EXPECT_NEAR(y.mean().item(), 1, 0.01);
}

}  // namespace
}  // namespace dnn
