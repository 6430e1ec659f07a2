// Which of oneDNN's primitives computes a convolution, and in which layouts.
#pragma once

#include <optional>

#include "core/cpu/onednn.h"
#include "core/kernels/conv.h"

namespace dnn::cpu::conv_onednn {

enum class Direction : uint8_t { forward, backward_data, backward_weight };

// What a plan is made for.
struct PlanKey {
  kernel::ConvProblem problem;
  Direction direction = Direction::forward;
  detail::Layout x = detail::Layout::plain;
  detail::Layout y = detail::Layout::plain;
  std::optional<detail::Layout> add = std::nullopt;
  bool bias = false;
  bool accumulate = false;  // of the gradient
  bool winograd = false;
  int threads = 0;
  friend bool operator==(const PlanKey&, const PlanKey&) = default;
};

struct LayoutPair {
  detail::Layout x;
  detail::Layout y;
  friend bool operator==(LayoutPair, LayoutPair) = default;
};

// A primitive, the layouts that it works in, and in how many parts it does the batch.
struct Choice {
  onednn::PrimitiveDesc desc;
  LayoutPair layouts;
  int64_t parts = 1;
};

// The layouts that the primitive should work in.
LayoutPair working_layouts(const kernel::ConvProblem& p, detail::Layout x, Direction direction);

// Whether the two layouts of the shape are the same order of elements.
bool same_order(detail::Layout a, detail::Layout b, const Shape& nchw);

// The weight, or its groups, in these formats.
onednn::MemoryDesc describe_weight(const kernel::ConvProblem& p, dnnl_format_tag_t plain, dnnl_format_tag_t grouped);

// The fastest usable primitive. Throws BackendError when oneDNN has none.
Choice choose_primitive(PlanKey key);

}  // namespace dnn::cpu::conv_onednn
