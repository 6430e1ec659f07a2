// The convolution slots: operands brought into the layout that cuDNN works in, results brought back from there.
//
// cuDNN works in channels_last, but for float64 (conv_graph.cpp). The images between convolutions are channels_last
// themselves, so the conversions are those of the first layer's input and of weights and their gradients, which
// parameters keep plain (and which for 1x1 and depthwise filters is the same order). Weights are converted once for
// each of their versions (packed_filters.h).
//
// A bias, and with 16-bit types what is added and the ReLU, are fused into the convolution where cuDNN has a plan for
// that; elsewhere an own kernel applies them in one pass. For float32 that pass moves no more bytes than a fused
// addition with its own activation would, and infinity stays infinity in it. A gradient of an input that is added to
// another one, as behind a residual block, is added in the convolution as well where cuDNN has a plan for that.
#include "core/kernels/conv.h"

#include "core/functors.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise.h"
#include "core/node.h"
#include "cuda/conv_choice.h"
#include "cuda/kernels.h"
#include "cuda/packed_filters.h"
#include "dnn/precision.h"

namespace dnn::cuda {

using detail::Layout;
using kernel::ConvProblem;

namespace {

// The tensor with its elements in the order of the layout.
Tensor arranged(const Tensor& t, Layout layout) {
  if (!t.defined() || same_order(detail::layout_of(t), layout, t.shape())) return t;
  return detail::in_layout(t, layout);
}

Tensor arranged_filter(const Tensor& weight, Layout layout) {
  return same_order(detail::layout_of(weight), layout, weight.shape()) ? weight : packed_filter(weight, layout);
}

// Where cuDNN writes a result, and how that gets to the tensor.
class Result {
 public:
  Result(const Tensor& out, Layout layout, bool accumulate)
      : out_(out), accumulate_(accumulate), ordered_(same_order(detail::layout_of(out), layout, out.shape())) {
    if (ordered_ && !accumulate) {
      target_ = out;
    } else {
      target_ = detail::allocate(out.shape(), out.dtype(), out.device());
      detail::set_layout(target_, ordered_ ? detail::layout_of(out) : layout);
    }
  }
  const Tensor& target() const { return target_; }
  void* data() const { return detail::raw(target_); }

  void finish() const {
    if (ordered_ && !accumulate_) return;
    const Device device = out_.device();
    if (accumulate_ && ordered_) {
      kernel::binary_forward<functor::Add>[device](functor::Add{}, out_, target_, out_);
    } else if (accumulate_) {
      relayout_add(target_, out_);
    } else {
      kernel::relayout[device](detail::raw(target_), detail::layout_of(target_), detail::raw(out_),
                               detail::layout_of(out_), out_.shape(), static_cast<int64_t>(size_of(out_.dtype())));
    }
  }

 private:
  Tensor out_;
  bool accumulate_;
  bool ordered_;  // the tensor's elements lie as cuDNN writes them
  Tensor target_;
};

ConvGraph graph_of(ConvPass pass, const ConvProblem& problem, Layout layout) {
  return conv_graph(pass, problem, layout, tf32_allowed().convolution, !nondeterminism_allowed());
}

void* data_of(const Tensor& t) { return t.defined() ? detail::raw(t) : nullptr; }

void clear(const Tensor& t, bool accumulate) {
  if (t.defined() && !accumulate) kernel::fill[t.device()](t, 0);
}

// Whether cuDNN is asked for the convolution with all that follows it in one; it has no pattern without a bias.
bool may_fuse(DType type, const Tensor& bias, Activation activation) {
  if (!bias.defined() || type == DType::float64) return false;
  return type != DType::float32 || activation == Activation::none;
}

}  // namespace

void conv2d_layout(const ConvProblem& problem, Layout, Layout* output) {
  const Layout layout = conv_layout(problem.dtype);
  *output = same_order(layout, Layout::plain, problem.output) ? Layout::plain : layout;
}

void conv2d_forward(const ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                    const Tensor& out) {
  conv2d_fused(problem, x, weight, bias, {}, Activation::none, out);
}

void conv2d_fused(const ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& add, Activation activation, const Tensor& out) {
  if (out.numel() == 0) return;
  const Layout layout = conv_layout(problem.dtype);
  const Tensor xs = arranged(x, layout), weights = arranged_filter(weight, layout);
  const Result y(out, layout, false);
  const Tensor addend = add.defined() ? detail::in_layout(add, detail::layout_of(y.target())) : add;
  const ConvGraph plain = graph_of(ConvPass::forward, problem, layout);
  const ConvPointers pointers{.x = data_of(xs), .weight = data_of(weights), .y = y.data()};
  bool fused = false;
  const bool only_padding = x.numel() == 0;  // an image without rows or columns
  if (only_padding) {
    clear(y.target(), false);
  } else if (may_fuse(problem.dtype, bias, activation)) {
    ConvGraph graph = plain;
    ConvPointers all = pointers;
    graph.bias = conv_operand({1, problem.output[1], 1, 1}, layout);
    if (add.defined()) graph.add = graph.y;
    graph.activation = activation;
    all.bias = data_of(bias), all.add = data_of(addend);
    fused = try_conv(out.device(), graph, all);
  }
  if (!fused) {
    if (!only_padding) run_conv(out.device(), plain, pointers);
    if (bias.defined() || add.defined() || activation != Activation::none)
      conv_epilogue(bias, addend, activation, y.target());
  }
  y.finish();
}

void conv2d_backward_data(const ConvProblem& problem, const Tensor& grad_output, const Tensor& weight,
                          const Tensor& grad_input, bool accumulate) {
  if (grad_input.numel() == 0) return;
  if (grad_output.numel() == 0) return clear(grad_input, accumulate);
  const Layout layout = conv_layout(problem.dtype);
  const Tensor gradient = arranged(grad_output, layout), weights = arranged_filter(weight, layout);
  const ConvGraph graph = graph_of(ConvPass::backward_data, problem, layout);
  const bool ordered = same_order(detail::layout_of(grad_input), layout, grad_input.shape());
  if (accumulate && ordered && problem.dtype != DType::float64) {
    ConvGraph adding = graph;
    adding.add = graph.x;
    void* const sum = detail::raw(grad_input);
    if (try_conv(grad_input.device(), adding,
                 {.x = sum, .weight = data_of(weights), .y = data_of(gradient), .add = sum}))
      return;
  }
  const Result result(grad_input, layout, accumulate);
  run_conv(grad_input.device(), graph, {.x = result.data(), .weight = data_of(weights), .y = data_of(gradient)});
  result.finish();
}

void conv2d_backward_weight(const ConvProblem& problem, const Tensor& x, const Tensor& grad_output,
                            const Tensor& grad_weight, bool accumulate_weight, const Tensor& grad_bias,
                            bool accumulate_bias) {
  if (x.numel() == 0 || grad_output.numel() == 0) {
    clear(grad_weight, accumulate_weight);
    return clear(grad_bias, accumulate_bias);
  }
  const Layout layout = conv_layout(problem.dtype);
  const Tensor xs = arranged(x, layout), gradient = arranged(grad_output, layout);
  const Result result(grad_weight, layout, accumulate_weight);
  run_conv(grad_weight.device(), graph_of(ConvPass::backward_weight, problem, layout),
           {.x = data_of(xs), .weight = result.data(), .y = data_of(gradient)});
  result.finish();
  // cuDNN's own gradient of a bias is slow in channels_last.
  if (grad_bias.defined()) channel_sum(gradient, grad_bias, accumulate_bias);
}

}  // namespace dnn::cuda
