// Timing, choosing and remembering plans.
#include "cuda/conv_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <optional>
#include <vector>

#include "core/functors.h"
#include "core/kernels/elementwise.h"
#include "core/plan_file.h"
#include "core/storage.h"
#include "cuda/check.h"
#include "cuda/context.h"
#include "cuda/kernels.h"
#include "cuda/plan_cache.h"
#include "cuda/trial.h"
#include "dnn/error.h"

namespace dnn::cuda {

namespace {

constexpr int64_t most_workspace = int64_t{1} << 30;

int64_t workspace_bound() {
  size_t free = 0, total = 0;
  DNN_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return std::min(static_cast<int64_t>(free / 4), most_workspace);
}

int64_t numel(const ConvOperand& operand) {
  const auto& d = operand.dims;
  return d[0] * d[1] * d[2] * d[3];
}

// Operands of a graph in memory of their own.
class Trial {
 public:
  Trial(const ConvGraph& graph, Device device) : operands_(device, graph.dtype) {
    const auto add = [&](const ConvOperand& operand) -> void* {
      return operand ? operands_.add(numel(operand)) : nullptr;
    };
    pointers = {add(graph.x), add(graph.weight), add(graph.y), add(graph.add), add(graph.bias)};
  }
  ConvPointers pointers;

 private:
  TrialOperands operands_;
};

// The plans of a graph, those that may run best first.
class Choice {
 public:
  Choice(const ConvGraph& graph, Context& context, Device device)
      : graph_(graph),
        device_(device),
        origin_(trial_origin(conv_library(), context, device)),
        plans_(conv_plans(graph, context)),
        bound_(workspace_bound()),
        wanted_(plans_to_try("conv2d", "DNN_CONV_PLANS", 8)) {
    if (!take_known()) try_plans(context);
  }

  // False when no plan is left.
  bool run(Context& context, const ConvPointers& pointers) {
    while (!ready_.empty() || (!must_be_tried() && build_next())) {
      try {
        run_one(ready_.front(), context, pointers);
        return true;
      } catch (const BackendError& error) {
        refusal_ = error.what();
        ready_.erase(ready_.begin());
        if (known_) try_plans(context);
      } catch (const OutOfMemory&) {
        if (!must_be_tried()) throw;
        refusal_ = "out of memory";  // the caller has a way around it that needs less
        return false;
      }
    }
    return false;
  }
  const std::string& refusal() const { return refusal_; }

 private:
  // Only a trial shows what a fused ReLU makes of NaN, and an addition of a result that lies in its own place.
  bool must_be_tried() const { return graph_.activation != Activation::none || graph_.accumulates(); }

  // Takes what a process before this one found; false when there is nothing that serves.
  bool take_known() {
    if (wanted_ == 1) return false;
    const auto known = detail::known_plan(origin_, text_of(graph_));
    if (!known || known->tried < wanted_) return false;
    if (known->name.empty()) {
      refusal_ = "none did when they were tried before";
      return must_be_tried();
    }
    for (int64_t plan = 0; plan < plans_->count(); ++plan) {
      if (plans_->name(plan) != known->name) continue;
      if (!build(plan)) return false;
      known_ = plan;
      ready_ = {plan};
      return true;
    }
    return false;
  }

  // Builds and compares plans from the first on.
  void try_plans(Context& context) {
    known_.reset();
    ready_.clear();
    next_ = 0;
    while (std::ssize(ready_) < wanted_ && build_next()) {
    }
    if (ready_.size() > 1 || (!ready_.empty() && must_be_tried())) compare(context);
  }

  // Whether the plan can be built, and works in the memory allowed.
  bool build(int64_t plan) {
    if (!plans_->build(plan)) {
      refusal_ = plans_->refusal();
      return false;
    }
    if (plans_->workspace(plan) <= bound_) return true;
    if (plans_->workspace(plan) <= most_workspace) short_of_memory_ = true;
    refusal_ = fmt::format("{} wants {} bytes of workspace, {} are allowed", plans_->name(plan),
                           plans_->workspace(plan), bound_);
    return false;
  }

  // Appends the next plan that can be built to those ready; false when there is none.
  bool build_next() {
    while (next_ < plans_->count()) {
      const int64_t plan = next_++;
      if (plan == known_ || !build(plan)) continue;
      ready_.push_back(plan);
      return true;
    }
    if (plans_->count() == 0) refusal_ = plans_->refusal();
    return false;
  }

  // Where memory is short, a plan that needs less of it.
  void run_one(int64_t plan, Context& context, const ConvPointers& pointers) {
    try {
      const Scratch workspace(context, plans_->workspace(plan));
      plans_->run(plan, context, pointers, workspace.as<void>());
      context.called("cudnnBackendExecute");
    } catch (const OutOfMemory&) {
      const auto needs_less = [&](int64_t other) { return plans_->workspace(other) < plans_->workspace(plan); };
      auto less = std::find_if(ready_.begin(), ready_.end(), needs_less);
      // Of a known graph only one plan was built.
      while (less == ready_.end() && known_ && !must_be_tried() && build_next()) {
        less = std::find_if(ready_.begin(), ready_.end(), needs_less);
      }
      if (less == ready_.end()) throw;
      run_one(*less, context, pointers);
    }
  }

  // Orders the plans by time, drops those that fail or compute something else, and keeps the result.
  void compare(Context& context) {
    std::vector<std::pair<double, int64_t>> times;
    try {
      const Trial trial(graph_, device_);
      TrialClock clock(context);
      for (const int64_t plan : ready_) {
        try {
          const Scratch workspace(context, plans_->workspace(plan));
          const auto time = [&] { return plans_->time(plan, context, trial.pointers, workspace.as<void>(), clock); };
          const bool timed = ready_.size() > 1 || (graph_.accumulates() && wanted_ > 1);
          times.emplace_back(timed ? time() : 0, plan);
        } catch (const BackendError& error) {
          refusal_ = error.what();
        }
      }
      std::sort(times.begin(), times.end());
      // Its first element counts in the first of y.
      if (graph_.activation != Activation::none) set_nan(context, graph_.dtype, trial.pointers.bias);
      std::erase_if(times, [&](const auto& timed) { return !passes(timed.second, context, trial.pointers); });
      const bool compared = graph_.accumulates() && !times.empty() && wanted_ > 1;
      if (compared && time_composed(context, trial.pointers, clock) < times.front().first) {
        refusal_ = "an addition after the convolution is faster";
        times.clear();
      }
    } catch (const OutOfMemory&) {
      // No room for operands beside the user's: the library's guess has to do. Its ReLU could not be checked.
      if (!must_be_tried()) return;
      refusal_ = "out of memory while its plans were tried";
      ready_.clear();
      return;
    }
    ready_.clear();
    for (const auto& [time, plan] : times) ready_.push_back(plan);
    if (wanted_ == 1 || short_of_memory_) return;
    const bool found = !times.empty();
    if (found || must_be_tried())
      detail::keep_plan(origin_, text_of(graph_),
                        {found ? plans_->name(ready_.front()) : "", found ? times.front().first : 0, wanted_});
  }

  // Whether the plan computes what it is used for.
  bool passes(int64_t plan, Context& context, const ConvPointers& pointers) {
    const Scratch workspace(context, plans_->workspace(plan));
    const auto run = [&](const ConvPointers& p) { plans_->run(plan, context, p, workspace.as<void>()); };
    try {
      if (graph_.activation != Activation::none) {
        run(pointers);
        if (is_nan(context, graph_.dtype, pointers.y)) return true;
        refusal_ = fmt::format("the ReLU of {} loses NaN", plans_->name(plan));
        return false;
      }
      if (!graph_.accumulates()) return true;
      run(pointers);
      const int64_t bytes = numel(graph_.x) * static_cast<int64_t>(size_of(graph_.dtype));
      const Scratch sum(context, bytes);
      context.copy(sum.as<void>(), pointers.add, bytes);
      ConvPointers in_place = pointers;
      in_place.x = in_place.add = sum.as<void>();
      run(in_place);
      if (same_bytes(context, sum.as<void>(), pointers.x, bytes)) return true;
      refusal_ = fmt::format("{} cannot add in place", plans_->name(plan));
    } catch (const BackendError& error) {
      refusal_ = error.what();
    }
    return false;
  }

  // Milliseconds of the convolution alone and an addition after it.
  double time_composed(Context& context, const ConvPointers& pointers, TrialClock& clock) {
    ConvGraph plain = graph_;
    plain.add = {};
    const auto plans = conv_plans(plain, context);
    double best = std::numeric_limits<double>::max();
    for (int64_t plan = 0, tried = 0; plan < plans->count() && tried < wanted_; ++plan) {
      if (!plans->build(plan) || plans->workspace(plan) > bound_) continue;
      ++tried;
      try {
        const Scratch workspace(context, plans->workspace(plan));
        const ConvPointers operands{.x = pointers.x, .weight = pointers.weight, .y = pointers.y};
        best = std::min(best, plans->time(plan, context, operands, workspace.as<void>(), clock));
      } catch (const BackendError&) {
        // Not one to compare with.
      }
    }
    const Tensor sum = detail::allocate({numel(graph_.x)}, graph_.dtype, device_), more = detail::allocate_like(sum);
    return best + clock.time([&] { kernel::binary_forward<functor::Add>[device_](functor::Add{}, sum, more, sum); });
  }

  const ConvGraph graph_;
  const Device device_;
  const std::string origin_;
  const std::unique_ptr<ConvPlans> plans_;
  const int64_t bound_;
  const int64_t wanted_;          // plans to try
  int64_t next_ = 0;              // the first plan that was not tried yet
  std::optional<int64_t> known_;  // the plan taken from a file
  std::vector<int64_t> ready_;    // built, best first
  bool short_of_memory_ = false;  // a plan was left out that another time might run
  std::string refusal_;           // why a plan was left out last
};

using AllChoices = Choices<ConvGraph, ConvGraphHash, Choice>;
AllChoices& choices() {
  static auto* const instance = new AllChoices(conv_choices);
  return *instance;  // never destroyed, as contexts are not
}

// Computes the graph; the reason when no plan can, else empty.
std::string compute(Device device, ConvGraph& graph, const ConvPointers& pointers) {
  const auto align = [](ConvOperand& operand, const void* data) {
    if (operand) operand.alignment = alignment_of(data);
  };
  align(graph.x, pointers.x), align(graph.weight, pointers.weight), align(graph.y, pointers.y);
  align(graph.add, pointers.add), align(graph.bias, pointers.bias);
  const auto entry = choices().of(device, graph);
  Context& context = Context::of(device.index());  // may wait for another thread's recording, which may want the entry
  const std::lock_guard lock(entry->mutex);
  if (!entry->choice) entry->choice = std::make_unique<Choice>(graph, context, device);
  if (entry->choice->run(context, pointers)) return "";
  return entry->choice->refusal().empty() ? "none is offered" : entry->choice->refusal();
}

}  // namespace

bool try_conv(Device device, ConvGraph graph, const ConvPointers& pointers) {
  return compute(device, graph, pointers).empty();
}

void run_conv(Device device, ConvGraph graph, const ConvPointers& pointers) {
  const std::string refusal = compute(device, graph, pointers);
  if (refusal.empty()) return;
  throw BackendError(
      fmt::format("conv2d: no plan of cuDNN computes this, expected one ({}; {})", text_of(graph), refusal));
}

size_t chosen_convs() { return choices().size(); }
void forget_convs() { choices().clear(); }

}  // namespace dnn::cuda
