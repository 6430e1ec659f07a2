// From the problem of a convolution to its graph.
#include "cuda/conv_graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cuda/plan_cache.h"

namespace dnn::cuda {

using detail::Layout;

namespace {

const char* name_of(ConvPass pass) {
  switch (pass) {
    case ConvPass::forward: return "forward";
    case ConvPass::backward_data: return "gradient of the input";
    case ConvPass::backward_weight: return "gradient of the weight";
  }
  return "?";
}

}  // namespace

size_t ConvGraphHash::operator()(const ConvGraph& graph) const {
  std::array<int64_t, 5 + 5 * 9 + 6> numbers{};
  size_t n = 0;
  const auto put = [&](auto... values) { ((numbers[n++] = static_cast<int64_t>(values)), ...); };
  put(graph.pass, graph.dtype, graph.activation, graph.tensor_cores, graph.deterministic);
  for (const ConvOperand* operand : {&graph.x, &graph.weight, &graph.y, &graph.add, &graph.bias}) {
    for (size_t i = 0; i < 4; ++i) put(operand->dims[i], operand->strides[i]);
    put(operand->alignment);
  }
  for (const Size2 size : {graph.stride, graph.padding, graph.dilation}) put(size.h, size.w);
  return hash_of(numbers);
}

// channels_last is what every plan for tensor cores wants, and cuDNN takes it for any number of channels. float64
// exists for checks, and has no layouts.
Layout conv_layout(DType type) { return type == DType::float64 ? Layout::plain : Layout::channels_last; }

bool same_order(Layout a, Layout b, const Shape& nchw) {
  const auto flat = [&](Layout layout) {
    const bool one_order = nchw[2] * nchw[3] == 1 || (nchw[1] == 1 && layout <= Layout::channels_last);
    return one_order ? Layout::channels_last : layout;
  };
  return flat(a) == flat(b);
}

ConvOperand conv_operand(const Shape& shape, Layout layout) {
  const int64_t c = shape[1], h = shape[2], w = shape[3];
  ConvOperand operand{.dims = {shape[0], c, h, w}};
  if (layout == Layout::channels_last)
    operand.strides = {c * h * w, 1, c * w, c};
  else
    operand.strides = {c * h * w, h * w, w, 1};
  return operand;
}

ConvGraph conv_graph(ConvPass pass, const kernel::ConvProblem& problem, Layout layout, bool tf32, bool deterministic) {
  return {.pass = pass,
          .dtype = problem.dtype,
          .tensor_cores = problem.dtype != DType::float32 || tf32,
          .deterministic = deterministic,
          .x = conv_operand(problem.input, layout),
          .weight = conv_operand(problem.weight, layout),
          .y = conv_operand(problem.output, layout),
          .stride = problem.stride,
          .padding = problem.padding,
          .dilation = problem.dilation};
}

int64_t alignment_of(const void* data) {
  const auto address = reinterpret_cast<uintptr_t>(data);
  int64_t alignment = 1;
  while (alignment < 16 && address % static_cast<uintptr_t>(2 * alignment) == 0) alignment *= 2;
  return alignment;
}

std::string text_of(const ConvGraph& graph) {
  std::string text = fmt::format("conv2d, {}, {}{}{}", name_of(graph.pass), dnn::name_of(graph.dtype),
                                 graph.dtype == DType::float32 && !graph.tensor_cores ? " without TF32" : "",
                                 graph.deterministic ? "" : ", in any order");
  const auto add = [&](const char* name, const ConvOperand& operand) {
    if (operand)
      text += fmt::format(", {} [{}] strides [{}] aligned to {}", name, fmt::join(operand.dims, ", "),
                          fmt::join(operand.strides, ", "), operand.alignment);
  };
  add("x", graph.x), add("weight", graph.weight), add("y", graph.y), add("add", graph.add), add("bias", graph.bias);
  if (graph.activation == Activation::relu) text += ", relu";
  return text + fmt::format(", stride {}x{}, padding {}x{}, dilation {}x{}, groups {}", graph.stride.h, graph.stride.w,
                            graph.padding.h, graph.padding.w, graph.dilation.h, graph.dilation.w, graph.groups());
}

}  // namespace dnn::cuda
