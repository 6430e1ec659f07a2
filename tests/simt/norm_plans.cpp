// The stand-in for cuDNN's batch normalisation: the graph, loop for loop, in float64.
#include "tests/simt/norm_plans.h"

#include <cmath>
#include <optional>
#include <stdexcept>
#include <utility>

#include "cuda/context.h"
#include "cuda/conv_graph.h"
#include "cuda/dispatch.h"
#include "dnn/error.h"
#include "dnn/float16.h"
#include "tests/simt/machine.h"

namespace dnn::simt {

namespace {

using cuda::NormGraph;
using cuda::NormPass;
using cuda::NormPointers;
using cuda::NormSign;

std::optional<std::vector<NormStandInPlan>>& settings() {
  static std::optional<std::vector<NormStandInPlan>> instance = std::vector<NormStandInPlan>{};
  return instance;
}
std::vector<int64_t> runs;
std::vector<NormGraph> graphs;

// Element number i, of an image or of one value for each channel.
template <class T>
double get(const void* data, int64_t i) {
  return static_cast<double>(static_cast<float>(static_cast<const T*>(data)[i]));
}
template <class T>
void put(void* data, int64_t i, double value) {
  static_cast<T*>(data)[i] = T(static_cast<float>(value));
}
constexpr auto number = get<float>;

template <class T>
void forward(const NormGraph& g, const NormPointers& p, const NormStandInPlan& plan) {
  const int64_t n = g.numel(), channels = g.channels(), rows = n / channels;
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (int64_t i = c; i < n; i += channels) sum += get<T>(p.x, i);
    const double mean = sum / static_cast<double>(rows);
    for (int64_t i = c; i < n; i += channels) squares += std::pow(get<T>(p.x, i) - mean, 2);
    const double variance = squares / static_cast<double>(rows), inv_std = 1 / std::sqrt(variance + g.eps);
    put<float>(p.mean, c, mean), put<float>(p.inv_std, c, inv_std);
    if (g.running) {
      const double unbiased = squares / static_cast<double>(rows - 1);
      put<float>(p.running_mean, c, (1 - g.momentum) * number(p.running_mean, c) + g.momentum * mean);
      put<float>(p.running_var, c, (1 - g.momentum) * number(p.running_var, c) + g.momentum * unbiased);
    }
    for (int64_t i = c; i < n; i += channels) {
      double y = (get<T>(p.x, i) - mean) * inv_std * number(p.weight, c) + number(p.bias, c);
      if (g.add) y += get<T>(p.add, i);
      if (g.relu && (y < 0 || (std::isnan(y) && !plan.keeps_nan))) y = 0;
      put<T>(p.y, i, y * (1 + plan.error));
    }
  }
}

template <class T>
void backward(const NormGraph& g, const NormPointers& p, const NormStandInPlan& plan) {
  const int64_t n = g.numel(), channels = g.channels();
  const auto rows = static_cast<double>(n / channels);
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = number(p.mean, c), inv_std = number(p.inv_std, c), weight = number(p.weight, c);
    const auto normal = [&](int64_t i) { return (get<T>(p.x, i) - mean) * inv_std; };
    const auto gradient = [&](int64_t i) {
      const bool passes = g.sign == NormSign::none ||
                          (g.sign == NormSign::input && normal(i) * weight + number(p.bias, c) > 0) ||
                          (g.sign == NormSign::output && get<T>(p.y, i) > 0);
      return passes ? get<T>(p.grad, i) : 0;
    };
    double sum = 0, products = 0;
    for (int64_t i = c; i < n; i += channels) sum += gradient(i), products += gradient(i) * normal(i);
    put<float>(p.grad_weight, c, products), put<float>(p.grad_bias, c, sum);
    for (int64_t i = c; i < n; i += channels) {
      const double scale = 1 + plan.error, through = sum / rows + normal(i) * products / rows;
      if (g.fork) put<T>(p.grad_add, i, gradient(i) * scale);
      put<T>(p.grad_x, i, weight * inv_std * (gradient(i) - through) * scale);
    }
  }
}

class StandInPlans final : public cuda::NormPlans {
 public:
  explicit StandInPlans(const NormGraph& graph) : graph_(graph) {
    graphs.push_back(graph);
    if (!settings()) throw BackendError("the stand-in is lost");
    plans_ = *settings();
  }
  int64_t count() const override { return std::ssize(plans_); }
  std::string name(int64_t plan) const override { return "loops" + std::to_string(plan); }
  bool build(int64_t plan) override { return at(plan).builds; }
  const std::string& refusal() const override {
    static const std::string text = "the stand-in was told so";
    return text;
  }
  int64_t workspace(int64_t plan) const override { return at(plan).workspace; }
  void run(int64_t plan, cuda::Context& context, const NormPointers& pointers, void* workspace) override {
    runs.push_back(plan);
    if (plans_.at(static_cast<size_t>(plan)).runs-- <= 0) throw BackendError(name(plan) + " fails when it runs");
    if ((workspace == nullptr) != (at(plan).workspace == 0)) throw std::logic_error("a wrong workspace");
    check_operands(pointers);
    perform(context.stream(), "normalisation", bytes_of(pointers), [graph = graph_, pointers, settings = at(plan)] {
      if (settings.silent) return;
      cuda::visit_types<float16, bfloat16>(graph.dtype, [&]<class T>(T) {
        if (graph.pass == NormPass::forward)
          forward<T>(graph, pointers, settings);
        else
          backward<T>(graph, pointers, settings);
      });
    });
  }
  double time(int64_t plan, cuda::TrialClock&, const std::function<void()>& run) override {
    run();
    return at(plan).milliseconds;
  }

 private:
  const NormStandInPlan& at(int64_t plan) const { return plans_.at(static_cast<size_t>(plan)); }
  // All that the graph names is there, at multiples of 16 bytes.
  void check_operands(const NormPointers& p) const {
    const bool forward = graph_.pass == NormPass::forward;
    const auto check = [](bool named, const void* data) {
      if (named && (data == nullptr || cuda::alignment_of(data) < 16))
        throw std::logic_error("an operand is missing or less aligned than the graph says");
    };
    for (const void* data : {p.x, p.weight, p.mean, p.inv_std}) check(true, data);
    check(forward || graph_.sign == NormSign::input, p.bias), check(graph_.add, p.add);
    check(forward || graph_.sign == NormSign::output, p.y);
    check(graph_.running, p.running_mean), check(graph_.running, p.running_var);
    for (const void* data : {p.grad, p.grad_x, p.grad_weight, p.grad_bias}) check(!forward, data);
    check(graph_.fork, p.grad_add);
  }

  const NormGraph graph_;
  std::vector<NormStandInPlan> plans_;
};

}  // namespace

void set_norm_stand_in(const std::vector<NormStandInPlan>& plans) { settings() = plans; }
void lose_norm_stand_in() { settings().reset(); }
std::vector<int64_t> take_norm_runs() { return std::exchange(runs, {}); }
std::vector<NormGraph> take_norm_graphs() { return std::exchange(graphs, {}); }

}  // namespace dnn::simt

namespace dnn::cuda {

std::unique_ptr<NormPlans> norm_plans(const NormGraph& graph, Context&) {
  return std::make_unique<simt::StandInPlans>(graph);
}

}  // namespace dnn::cuda
