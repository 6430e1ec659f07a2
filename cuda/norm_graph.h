// What cuDNN is asked to compute: batch normalisation in training, of 16-bit images whose channels lie side by side,
// with what is added and the ReLU.
//
// The patterns that cuDNN has engines for, compiled when a plan is built:
//   forward     y = relu(norm(x) + add), mean, inv_std and the running statistics; `add` and relu may be absent, but an
//               addition without a ReLU has no engine
//   backward    the gradients of x, weight and bias
//     none        from the gradient of norm(x)
//     input       from that of relu(norm(x)): the sign is that of norm(x), which the graph computes anew
//     output      from that of relu(norm(x) + add): the sign is that of y; the gradient behind the ReLU, which is that
//                 of `add`, may be written on the way
// cuDNN can also leave a mask of bits in the forward pass for the backward pass. It is not asked for: y is kept anyway,
// and so either pass may be cuDNN's or our own, whatever the other one is. Where the passes differ, a sign that is
// computed anew may be another than y's if norm(x) is a rounding away from 0, where either gradient is as good.
//
// A graph is also the key under which plans are cached, so it holds nothing but what decides which code runs.
#pragma once

#include <array>
#include <string>

#include "core/kernels/norm.h"

namespace dnn::cuda {

enum class NormPass : uint8_t { forward, backward };

// Where the backward pass has the sign behind the ReLU from.
enum class NormSign : uint8_t { none, input, output };

struct NormGraph {
  NormPass pass = NormPass::forward;
  DType dtype = DType::bfloat16;   // of the images; all else is float32
  std::array<int64_t, 4> dims{};   // of the images [n, c, h, w], stored as [n, h, w, c] at multiples of 16 bytes
  bool add = false;                // forward: an image is added
  bool relu = false;               // forward
  bool running = false;            // forward: running statistics move
  double eps = 0, momentum = 0;    // forward; momentum is 0 when none move
  NormSign sign = NormSign::none;  // backward
  bool fork = false;               // backward: the gradient behind the ReLU is written

  int64_t numel() const { return dims[0] * dims[1] * dims[2] * dims[3]; }
  int64_t channels() const { return dims[1]; }
  // In elements, of the images.
  std::array<int64_t, 4> strides() const { return {numel() / dims[0], 1, dims[3] * dims[1], dims[1]}; }
  friend bool operator==(const NormGraph&, const NormGraph&) = default;
};

struct NormGraphHash {
  size_t operator()(const NormGraph& graph) const;
};

// Whether there is a pattern for the images, which are packed ones (channels.cuh), and of which there are some.
bool has_norm_graph(const Tensor& x);

// The graph of a forward pass.
NormGraph norm_graph(const Tensor& x, const Tensor& add, Activation activation, double eps,
                     const kernel::RunningStatistics& running);

// Whether there is a pattern for the gradients that are wanted: those of x, weight and bias, none of them added to what
// is there.
bool has_norm_graph(const kernel::BatchNormGradients& gradients);

// The graph of a backward pass in training; `bias` is defined where nothing was added (core/kernels/norm.h).
NormGraph norm_graph(const Tensor& x, const Tensor& bias, Activation activation,
                     const kernel::BatchNormGradients& gradients);

// "batch_norm, forward, bfloat16 [256, 64, 56, 56], add, relu, running statistics, eps 1e-05, momentum 0.1".
std::string text_of(const NormGraph& graph);

}  // namespace dnn::cuda
