// What cuDNN is asked to compute: a convolution with the sizes and strides of all its operands.
//
// The translation from a problem is a pure function. A graph is also the key under which plans are cached, so it holds
// nothing but what decides which code runs, and strides that say the same are the same numbers: those of a dimension
// of size 1 too follow from the sizes and the layout.
#pragma once

#include <array>
#include <string>

#include "core/kernels/conv.h"

namespace dnn::cuda {

enum class ConvPass : uint8_t { forward, backward_data, backward_weight };

// Sizes and strides in elements, in the order [n, c, h, w], of a weight [k, c / groups, r, s]; absent without elements.
struct ConvOperand {
  std::array<int64_t, 4> dims{};
  std::array<int64_t, 4> strides{};
  int64_t alignment = 16;  // of its address in bytes, at most 16

  explicit operator bool() const { return dims[0] != 0; }
  friend bool operator==(const ConvOperand&, const ConvOperand&) = default;
};

// forward: y = activation(conv(x, weight) + add + bias). backward_data: x from y and weight, to which `add` is added.
// backward_weight: weight from x and y. `add` and `bias` may be absent; `bias` and `activation` belong to the forward
// pass.
struct ConvGraph {
  ConvPass pass = ConvPass::forward;
  DType dtype = DType::float32;
  bool tensor_cores = true;   // whether float32 may be rounded to TF32
  bool deterministic = true;  // the same bits in every run
  ConvOperand x;
  ConvOperand weight;
  ConvOperand y;
  ConvOperand add;
  ConvOperand bias;  // [1, k, 1, 1]
  Activation activation = Activation::none;
  Size2 stride = 1;
  Size2 padding = 0;
  Size2 dilation = 1;

  // Whether the result is added to what its memory holds, which `add` is.
  bool accumulates() const { return pass == ConvPass::backward_data && add; }
  int64_t groups() const { return x.dims[1] / weight.dims[1]; }
  // Of the sums: float64 for itself, float32 for all else.
  DType compute_type() const { return dtype == DType::float64 ? DType::float64 : DType::float32; }
  friend bool operator==(const ConvGraph&, const ConvGraph&) = default;
};

struct ConvGraphHash {
  size_t operator()(const ConvGraph& graph) const;
};

// The layout that cuDNN works in.
detail::Layout conv_layout(DType type);

// Whether the two layouts of the shape are the same order of elements.
bool same_order(detail::Layout a, detail::Layout b, const Shape& nchw);

// An operand of that shape in the plain or channels_last layout.
ConvOperand conv_operand(const Shape& shape, detail::Layout layout);

// The problem with all operands in that layout, without bias, add and activation; `tf32`: whether float32 may be
// rounded to it; `deterministic`: whether each run must give the same bits.
ConvGraph conv_graph(ConvPass pass, const kernel::ConvProblem& problem, detail::Layout layout, bool tf32,
                     bool deterministic = true);

// Of an address, as graphs count it.
int64_t alignment_of(const void* data);

// "conv2d forward float32 x [8, 3, 32, 32] strides [3072, 1, 96, 3], ..." for messages.
std::string text_of(const ConvGraph& graph);

}  // namespace dnn::cuda
