// What the tests of kernels share: random tensors, copies on the GPU in any layout, comparison in memory order.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/kernels/runtime.h"
#include "core/node.h"
#include "dnn/ops.h"

namespace dnn::simt::test {

using detail::Layout;

inline constexpr Device cpu = Device::cpu();
inline constexpr Device cuda = Device::cuda();

inline constexpr DType floating_types[] = {DType::float64, DType::float32, DType::float16, DType::bfloat16};
inline constexpr DType all_types[] = {DType::float64, DType::float32, DType::float16, DType::bfloat16,
                                      DType::int64,   DType::int32,   DType::uint8,   DType::boolean};
inline constexpr Layout all_layouts[] = {Layout::plain, Layout::channels_last, Layout::blocked8, Layout::blocked16};

inline Tensor uniform(const Shape& shape, DType type = DType::float32, double low = -2, double high = 2) {
  Tensor t = rand(shape, {.dtype = DType::float64});
  double* data = t.data<double>();
  for (int64_t i = 0; i < t.numel(); ++i) data[i] = low + (high - low) * data[i];
  return t.to(type);
}

inline Tensor gpu(const Tensor& t) { return t.defined() ? t.to(Device::cuda()) : t; }

// A tensor like `t` (its shape, layout) on the GPU, uninitialised.
inline Tensor gpu_like(const Tensor& t) {
  Tensor result = detail::allocate(t.shape(), t.dtype(), Device::cuda());
  detail::set_layout(result, detail::layout_of(t));
  return result;
}

// The elements in memory order.
inline std::vector<double> raw_values(const Tensor& t) {
  Tensor flat = detail::allocate({t.numel()}, t.dtype(), Device::cpu());
  const int64_t bytes = t.numel() * static_cast<int64_t>(size_of(t.dtype()));
  const Device active = t.device().is_cpu() ? Device::cuda() : t.device();
  if (bytes == 0) return {};
  if (t.device().is_cpu())
    std::memcpy(detail::raw(flat), detail::raw(t), static_cast<size_t>(bytes));
  else
    detail::runtime(active).copy(detail::raw(flat), Device::cpu(), detail::raw(t), t.device(), bytes);
  return flat.to(DType::float64).to_vector<double>();
}

inline double unit(DType type) {
  switch (type) {
    case DType::float64: return 1e-14;
    case DType::float32: return 1e-6;
    case DType::float16: return 1e-3;
    case DType::bfloat16: return 8e-3;
    default: return 0;
  }
}

inline void expect_near(const Tensor& actual, const Tensor& expected, double tolerance) {
  const auto a = raw_values(actual), e = raw_values(expected);
  ASSERT_EQ(a.size(), e.size());
  double scale = 0;
  for (const double x : e) scale = std::isfinite(x) ? std::max(scale, std::abs(x)) : scale;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i]))) continue;
    ASSERT_LE(std::abs(a[i] - e[i]), tolerance * scale) << "element " << i << ": " << a[i] << ", expected " << e[i];
  }
}

inline void expect_same(const Tensor& actual, const Tensor& expected) { expect_near(actual, expected, 0); }

// The same tensor in a layout; images with channels that do not fit, and types without layouts, stay plain.
inline Tensor laid_out(const Tensor& t, Layout layout) {
  const int64_t block = layout == Layout::blocked8 ? 8 : layout == Layout::blocked16 ? 16 : 1;
  const bool typed = t.dtype() == DType::float32 || (!t.device().is_cpu() && size_of(t.dtype()) == 2);
  if (t.rank() != 4 || !typed || t.size(1) % block != 0) return t.clone();
  return detail::in_layout(t.clone(), layout);
}

// A copy of `t` on the GPU in a layout, and back from there as a plain tensor on the CPU.
inline Tensor to_gpu(const Tensor& t, Layout layout) { return t.defined() ? laid_out(gpu(t), layout) : t; }
inline Tensor back(const Tensor& t) {
  detail::make_plain(t);
  return t.to(cpu);
}

// An uninitialised one.
inline Tensor blank(const Shape& shape, DType type, Layout layout) {
  Tensor t = detail::allocate(shape, type, cuda);
  detail::set_layout(t, layout);
  return t;
}

}  // namespace dnn::simt::test
