// From a call of batch normalisation to its graph.
#include "cuda/norm_graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>

#include "cuda/plan_cache.h"

namespace dnn::cuda {

size_t NormGraphHash::operator()(const NormGraph& graph) const {
  const auto number = [](auto value) { return static_cast<int64_t>(value); };
  const std::array<int64_t, 13> numbers{number(graph.pass),
                                        number(graph.dtype),
                                        graph.dims[0],
                                        graph.dims[1],
                                        graph.dims[2],
                                        graph.dims[3],
                                        number(graph.add),
                                        number(graph.relu),
                                        number(graph.running),
                                        std::bit_cast<int64_t>(graph.eps),
                                        std::bit_cast<int64_t>(graph.momentum),
                                        number(graph.sign),
                                        number(graph.fork)};
  return hash_of(numbers);
}

namespace {

NormGraph graph_of(NormPass pass, const Tensor& x) {
  return {.pass = pass, .dtype = x.dtype(), .dims = {x.size(0), x.size(1), x.size(2), x.size(3)}};
}

}  // namespace

// float32 is left to our own kernels, whose statistics are right also where the mean is far beyond the deviation: of a
// library's that could not be told from a trial, and 16 bits hold no such images.
bool has_norm_graph(const Tensor& x) { return size_of(x.dtype()) == 2; }

NormGraph norm_graph(const Tensor& x, const Tensor& add, Activation activation, double eps,
                     const kernel::RunningStatistics& running) {
  NormGraph graph = graph_of(NormPass::forward, x);
  graph.add = add.defined();
  graph.relu = activation == Activation::relu;
  graph.running = running.mean.defined();
  graph.eps = eps;
  graph.momentum = graph.running ? running.momentum : 0;
  return graph;
}

bool has_norm_graph(const kernel::BatchNormGradients& gradients) {
  const bool all = gradients.input.defined() && gradients.weight.defined() && gradients.bias.defined();
  return all && !gradients.accumulate_input && !gradients.accumulate_weight && !gradients.accumulate_bias;
}

NormGraph norm_graph(const Tensor& x, const Tensor& bias, Activation activation,
                     const kernel::BatchNormGradients& gradients) {
  NormGraph graph = graph_of(NormPass::backward, x);
  if (activation == Activation::none) return graph;
  graph.sign = bias.defined() ? NormSign::input : NormSign::output;
  graph.fork = gradients.add.defined();
  return graph;
}

std::string text_of(const NormGraph& graph) {
  const bool forward = graph.pass == NormPass::forward;
  std::string text = fmt::format("batch_norm, {}, {} [{}]", forward ? "forward" : "backward", dnn::name_of(graph.dtype),
                                 fmt::join(graph.dims, ", "));
  if (graph.add) text += ", add";
  if (graph.relu) text += ", relu";
  if (graph.running) text += ", running statistics";
  if (graph.sign == NormSign::input) text += ", relu by its input";
  if (graph.sign == NormSign::output) text += ", relu by its output";
  if (graph.fork) text += ", fork";
  if (forward) text += fmt::format(", eps {}", graph.eps);
  if (graph.running) text += fmt::format(", momentum {}", graph.momentum);
  return text;
}

}  // namespace dnn::cuda
