// The stand-in for cuDNN's convolutions: the graph, loop for loop, in float64.
//
// It knows a graph's sizes and strides alone, so that what the slots translate a problem to is what gets computed.
#include "tests/simt/conv_plans.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "cuda/context.h"
#include "cuda/dispatch.h"
#include "dnn/error.h"
#include "dnn/float16.h"
#include "tests/simt/machine.h"

namespace dnn::simt {

namespace {

using cuda::ConvGraph;
using cuda::ConvOperand;
using cuda::ConvPass;
using cuda::ConvPointers;

StandIn& settings() {
  static StandIn instance;
  return instance;
}
std::vector<int64_t> runs;
std::vector<ConvGraph> graphs;

// An element of an operand.
template <class T>
T& at(void* data, const ConvOperand& operand, int64_t n, int64_t c, int64_t h, int64_t w) {
  const auto& s = operand.strides;
  return static_cast<T*>(data)[n * s[0] + c * s[1] + h * s[2] + w * s[3]];
}

// Calls visit(n, k, output row, output column, channel within the group, r, s, channel, row, column) for all products.
template <class Visit>
void visit_taps(const ConvGraph& g, int64_t n, int64_t k, const Visit& visit) {
  const auto &x = g.x.dims, &w = g.weight.dims, &y = g.y.dims;
  const int64_t first = k / (y[1] / g.groups()) * w[1];
  for (int64_t oh = 0; oh < y[2]; ++oh) {
    for (int64_t ow = 0; ow < y[3]; ++ow) {
      for (int64_t c = 0; c < w[1]; ++c) {
        for (int64_t r = 0; r < w[2]; ++r) {
          const int64_t row = oh * g.stride.h - g.padding.h + r * g.dilation.h;
          if (row < 0 || row >= x[2]) continue;
          for (int64_t s = 0; s < w[3]; ++s) {
            const int64_t column = ow * g.stride.w - g.padding.w + s * g.dilation.w;
            if (column >= 0 && column < x[3]) visit(oh, ow, c, r, s, first + c, row, column);
          }
        }
      }
    }
  }
}

double value(float16 x) { return static_cast<double>(static_cast<float>(x)); }
double value(bfloat16 x) { return static_cast<double>(static_cast<float>(x)); }
double value(float x) { return static_cast<double>(x); }
double value(double x) { return x; }

template <class T>
T rounded(double x) {
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>)
    return static_cast<T>(x);
  else
    return T(static_cast<float>(x));
}

template <class T>
void compute(const ConvGraph& g, const ConvPointers& p, const StandInPlan& plan) {
  // Sums in the order of the result's elements, stored with its strides.
  const ConvOperand& result = g.pass == ConvPass::forward ? g.y : g.pass == ConvPass::backward_data ? g.x : g.weight;
  const auto& d = result.dims;
  std::vector<double> sums(static_cast<size_t>(d[0] * d[1] * d[2] * d[3]));
  const auto sum = [&](int64_t a, int64_t b, int64_t c, int64_t e) -> double& {
    return sums[static_cast<size_t>(((a * d[1] + b) * d[2] + c) * d[3] + e)];
  };
  for (int64_t n = 0; n < g.y.dims[0]; ++n) {
    for (int64_t k = 0; k < g.y.dims[1]; ++k) {
      visit_taps(
          g, n, k,
          [&](int64_t oh, int64_t ow, int64_t c, int64_t r, int64_t s, int64_t channel, int64_t row, int64_t column) {
            const auto x = [&] { return value(at<T>(p.x, g.x, n, channel, row, column)); };
            const auto w = [&] { return value(at<T>(p.weight, g.weight, k, c, r, s)); };
            const auto y = [&] { return value(at<T>(p.y, g.y, n, k, oh, ow)); };
            switch (g.pass) {
              case ConvPass::forward: sum(n, k, oh, ow) += x() * w(); break;
              case ConvPass::backward_data: sum(n, channel, row, column) += y() * w(); break;
              case ConvPass::backward_weight: sum(k, c, r, s) += x() * y(); break;
            }
          });
    }
  }
  void* const data = g.pass == ConvPass::forward ? p.y : g.pass == ConvPass::backward_data ? p.x : p.weight;
  for (int64_t a = 0; a < d[0]; ++a) {
    for (int64_t b = 0; b < d[1]; ++b) {
      for (int64_t c = 0; c < d[2]; ++c) {
        for (int64_t e = 0; e < d[3]; ++e) {
          double total = sum(a, b, c, e);
          if (!plan.in_place) at<T>(data, result, a, b, c, e) = rounded<T>(0);
          if (g.add) total += value(at<T>(p.add, g.add, a, b, c, e));
          if (g.bias) total += value(at<T>(p.bias, g.bias, 0, b, 0, 0));
          if (g.activation == Activation::relu && (total < 0 || (total != total && !plan.keeps_nan))) total = 0;
          at<T>(data, result, a, b, c, e) = rounded<T>(total);
        }
      }
    }
  }
}

class StandInPlans final : public cuda::ConvPlans {
 public:
  explicit StandInPlans(const ConvGraph& graph)
      : graph_(graph),
        plans_(graph.accumulates() ? settings().adding_plans
               : graph.bias        ? settings().fused_plans
                                   : settings().plans) {
    graphs.push_back(graph);
  }
  int64_t count() const override { return static_cast<int64_t>(plans_.size()); }
  std::string name(int64_t plan) const override {
    return this->plan(plan).name.empty() ? "loops" + std::to_string(plan) : this->plan(plan).name;
  }
  bool build(int64_t plan) override {
    return this->plan(plan).builds && (this->plan(plan).in_order || !graph_.deterministic);
  }
  const std::string& refusal() const override {
    static const std::string text = "the stand-in was told so";
    return text;
  }
  int64_t workspace(int64_t plan) const override { return this->plan(plan).workspace; }
  void run(int64_t plan, cuda::Context& context, const ConvPointers& pointers, void* workspace) override {
    runs.push_back(plan);
    if (!this->plan(plan).runs) throw BackendError(name(plan) + " fails when it runs");
    if ((workspace == nullptr) != (this->plan(plan).workspace == 0)) throw std::logic_error("a wrong workspace");
    check_alignment(pointers);
    perform(context.stream(), "convolution", bytes_of(pointers),
            [graph = graph_, pointers, settings = this->plan(plan)] {
              cuda::visit_floating(graph.dtype, [&]<class T>(T) { compute<T>(graph, pointers, settings); });
            });
  }
  double time(int64_t plan, cuda::Context&, const ConvPointers&, void*, cuda::TrialClock&) override {
    runs.push_back(plan);
    if (!this->plan(plan).runs) throw BackendError(name(plan) + " fails when it runs");
    return this->plan(plan).milliseconds;
  }

 private:
  const StandInPlan& plan(int64_t i) const { return plans_.at(static_cast<size_t>(i)); }
  void check_alignment(const ConvPointers& p) const {
    const auto check = [](const ConvOperand& operand, const void* data) {
      if (bool(operand) != (data != nullptr) || (operand && cuda::alignment_of(data) < operand.alignment))
        throw std::logic_error("an operand is missing or less aligned than the graph says");
    };
    check(graph_.x, p.x), check(graph_.weight, p.weight), check(graph_.y, p.y);
    check(graph_.add, p.add), check(graph_.bias, p.bias);
  }

  const ConvGraph graph_;
  const std::vector<StandInPlan> plans_;
};

}  // namespace

void set_stand_in(const StandIn& stand_in) { settings() = stand_in; }
std::vector<int64_t> take_runs() { return std::exchange(runs, {}); }
std::vector<cuda::ConvGraph> take_graphs() { return std::exchange(graphs, {}); }

}  // namespace dnn::simt

namespace dnn::cuda {

std::unique_ptr<ConvPlans> conv_plans(const ConvGraph& graph, Context&) {
  return std::make_unique<simt::StandInPlans>(graph);
}

std::string conv_library() { return simt::settings().library; }

}  // namespace dnn::cuda
