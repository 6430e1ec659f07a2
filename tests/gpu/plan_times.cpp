// Every plan of every convolution and the first of every normalisation, built, and timed on random data in memory of
// its own.
#include "tests/gpu/plan_times.h"

#include <fmt/format.h>

#include <chrono>
#include <ostream>

#include "core/kernels/conv.h"
#include "core/kernels/runtime.h"
#include "cuda/context.h"
#include "cuda/conv_plan.h"
#include "cuda/norm_choice.h"
#include "cuda/trial.h"
#include "dnn/error.h"
#include "tests/cuda/resnet50_norms.h"

namespace dnn::gpu {

namespace {

using cuda::ConvGraph;
using cuda::ConvOperand;
using cuda::ConvPass;
using cuda::test::ResNet50Conv;

constexpr int64_t most_workspace = int64_t{1} << 30;  // as for the plans that libdnn chooses among
constexpr DType types[] = {DType::bfloat16, DType::float16};
constexpr ConvPass passes[] = {ConvPass::forward, ConvPass::backward_data, ConvPass::backward_weight};
constexpr const char* pass_names[] = {"forward", "backward data", "backward weight"};
constexpr int64_t graphs_of_a_conv = 6;

ConvGraph graph_of(const ResNet50Conv& c, DType type, ConvPass pass, int64_t batch) {
  const int64_t size = c.output_size();
  const kernel::ConvProblem problem{.input = {batch, c.in, c.size, c.size},
                                    .weight = {c.out, c.in, c.taps, c.taps},
                                    .output = {batch, c.out, size, size},
                                    .stride = c.stride,
                                    .padding = c.taps / 2,
                                    .dilation = 1,
                                    .groups = 1,
                                    .dtype = type};
  return cuda::conv_graph(pass, problem, cuda::conv_layout(type), true);
}

double operations(const ResNet50Conv& c, int64_t batch) {
  const int64_t size = c.output_size();
  return 2.0 * static_cast<double>(batch * size * size * c.out * c.in) * static_cast<double>(c.taps * c.taps);
}

void write_conv(int64_t number, int64_t batch, cuda::Context& context, std::ostream& out) {
  const ResNet50Conv& conv = cuda::test::resnet50_convs.at(static_cast<size_t>(number / graphs_of_a_conv));
  const DType type = types[number % graphs_of_a_conv / 3];
  const auto pass = static_cast<size_t>(number % 3);
  const ConvGraph graph = graph_of(conv, type, passes[pass], batch);
  cuda::TrialOperands operands(Device::cuda(), type);
  const auto memory = [&](const ConvOperand& o) { return operands.add(o.dims[0] * o.dims[1] * o.dims[2] * o.dims[3]); };
  const cuda::ConvPointers pointers{
      .x = memory(graph.x), .weight = memory(graph.weight), .y = memory(graph.y), .add = nullptr, .bias = nullptr};
  cuda::TrialClock clock(context);
  const auto plans = cuda::conv_plans(graph, context);
  for (int64_t plan = 0; plan < plans->count(); ++plan) {
    if (!plans->build(plan) || plans->workspace(plan) > most_workspace) continue;
    const cuda::Scratch workspace(context, plans->workspace(plan));
    double milliseconds = 0;
    try {
      milliseconds = plans->time(plan, context, pointers, workspace.as<void>(), clock);
    } catch (const BackendError&) {
      continue;  // built, but refuses to run
    }
    out << fmt::format(
               "{{\"graph\": {}, \"convolution\": \"{}x{}/{} {}->{} @{}\", \"dtype\": \"{}\", \"pass\": \"{}\", "
               "\"batch\": "
               "{}, \"plan\": \"{}\", \"rank\": {}, \"us\": {:.2f}, \"workspace\": {}, \"flops\": {:.0f}}}",
               number, conv.taps, conv.taps, conv.stride, conv.in, conv.out, conv.size,
               type == DType::bfloat16 ? "bf16" : "fp16", pass_names[pass], batch, plans->name(plan), plan,
               milliseconds * 1e3, plans->workspace(plan), operations(conv, batch))
        << "\n";
  }
}

constexpr int64_t conv_graphs = std::ssize(cuda::test::resnet50_convs) * graphs_of_a_conv;

std::vector<cuda::NormGraph> norms(int64_t batch) {
  std::vector<cuda::NormGraph> graphs;
  for (const DType type : types) {
    const auto more = cuda::test::resnet50_norms(type, batch);
    graphs.insert(graphs.end(), more.begin(), more.end());
  }
  return graphs;
}

void write_norm(int64_t number, int64_t batch, std::ostream& out) {
  const cuda::NormGraph graph = norms(batch).at(static_cast<size_t>(number - conv_graphs));
  const bool forward = graph.pass == cuda::NormPass::forward;
  const char* const around = graph.add || graph.fork                            ? ", add, relu"
                             : graph.relu || graph.sign != cuda::NormSign::none ? ", relu"
                                                                                : "";
  int64_t rank = 0;
  for (const cuda::NormTime& time : cuda::norm_times(graph, Device::cuda()))
    out << fmt::format(
               "{{\"graph\": {}, \"norm\": \"norm {} @{}{}\", \"dtype\": \"{}\", \"pass\": \"{}\", \"batch\": {}, "
               "\"plan\": \"{}\", \"rank\": {}, \"us\": {:.2f}, \"workspace\": {}}}",
               number, graph.channels(), graph.dims[2], around, graph.dtype == DType::bfloat16 ? "bf16" : "fp16",
               forward ? "forward" : "backward", batch, time.name, rank++, time.milliseconds * 1e3, time.workspace)
        << "\n";
}

}  // namespace

int64_t plan_times_graphs() { return conv_graphs + std::ssize(norms(1)); }

bool write_plan_times(const PlanTimesOptions& options, std::ostream& out) {
  detail::ensure_installed();
  cuda::Context& context = cuda::Context::of(0);
  const auto began = std::chrono::steady_clock::now();
  for (int64_t graph = options.first; graph < plan_times_graphs(); ++graph) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - began;
    if (graph > options.first && spent.count() >= options.seconds) return false;
    if (graph < conv_graphs)
      write_conv(graph, options.batch, context, out);
    else
      write_norm(graph, options.batch, out);
    out << fmt::format("{{\"done\": {}}}", graph) << std::endl;
  }
  return true;
}

}  // namespace dnn::gpu
