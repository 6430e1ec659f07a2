// Running the vectorised CPU kernels in the variants that they are compiled in.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "core/cpu/simd/simd.h"
#include "core/kernels/runtime.h"
#include "dnn/ops/factory.h"

namespace dnn::test {

constexpr Device cpu_device = Device::cpu();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr DType floating_types[] = {DType::float64, DType::float32, DType::float16, DType::bfloat16};
constexpr DType number_types[] = {DType::float64, DType::float32, DType::float16, DType::bfloat16,
                                  DType::int64,   DType::int32,   DType::uint8};

// The variants that this machine can run; the last one is what cpu::install() chose.
inline std::vector<std::string> variants() {
  const std::vector<std::string> all{"baseline", "avx2", "avx512"};
  return {all.begin(), all.begin() + static_cast<int>(cpu::best_variant()) + 1};
}

inline void install_variant(const std::string& variant) {
  detail::ensure_installed();
  cpu::install_simd(variant == "avx512" ? cpu::SimdVariant::avx512
                    : variant == "avx2" ? cpu::SimdVariant::avx2
                                        : cpu::SimdVariant::baseline);
}

// Calls f() once under each variant, and leaves the chosen one.
inline void for_each_variant(const std::function<void()>& f) {
  for (const std::string& variant : variants()) {
    SCOPED_TRACE(variant);
    install_variant(variant);
    f();
  }
}

// Elements of any type in row-major order.
inline std::vector<double> numbers(const Tensor& t) { return t.to(DType::float64).to_vector<double>(); }

inline Tensor of_type(const std::vector<double>& values, const Shape& shape, DType dtype) {
  return from_values(values, shape).to(dtype);
}

// n numbers between low and high, the same in every run.
inline std::vector<double> some_numbers(int64_t n, double low, double high, uint64_t seed = 1) {
  Generator generator(seed);
  std::vector<double> values(static_cast<size_t>(n));
  for (double& value : values) value = low + (high - low) * generator.uniform();
  return values;
}

inline Tensor some_tensor(const Shape& shape, DType dtype, double low = -2, double high = 2, uint64_t seed = 1) {
  return of_type(some_numbers(shape.numel(), low, high, seed), shape, dtype);
}

// Distance from 1 to the next number.
inline double epsilon(DType dtype) {
  switch (dtype) {
    case DType::float64: return 0x1p-52;
    case DType::float32: return 0x1p-23;
    case DType::float16: return 0x1p-10;
    case DType::bfloat16: return 0x1p-7;
    default: return 0;
  }
}

// Relative to the larger of the two, with the special values in the same places.
inline void expect_close(const std::vector<double>& actual, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(expected[i]) || std::isinf(expected[i]) || tolerance == 0) {
      ASSERT_TRUE(actual[i] == expected[i] || (std::isnan(actual[i]) && std::isnan(expected[i])))
          << "at " << i << ": " << actual[i] << ", expected " << expected[i];
    } else {
      ASSERT_NEAR(actual[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << "at " << i;
    }
  }
}

}  // namespace dnn::test
