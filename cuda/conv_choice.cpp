// Timing, choosing and remembering plans.
#include "cuda/conv_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "cuda/check.h"
#include "cuda/context.h"
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

// Operands of a graph in memory of their own.
class Trial {
 public:
  Trial(const ConvGraph& graph, Device device) : operands_(device, graph.dtype) {
    const auto add = [&](const ConvOperand& operand) -> void* {
      const auto& d = operand.dims;
      return operand ? operands_.add(d[0] * d[1] * d[2] * d[3]) : nullptr;
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
      : graph_(graph), plans_(conv_plans(graph, context)), bound_(workspace_bound()) {
    const int64_t wanted = plans_to_try("conv2d", "DNN_CONV_PLANS", 8);
    while (static_cast<int64_t>(ready_.size()) < wanted && build_next()) {
    }
    if (ready_.size() > 1 || (!ready_.empty() && graph.activation != Activation::none)) compare(context, device);
  }

  // False when no plan is left.
  bool run(Context& context, const ConvPointers& pointers) {
    while (!ready_.empty() || build_next()) {
      try {
        run_one(ready_.front(), context, pointers);
        return true;
      } catch (const BackendError& error) {
        refusal_ = error.what();
        ready_.erase(ready_.begin());
      }
    }
    return false;
  }
  const std::string& refusal() const { return refusal_; }

 private:
  // Appends the next plan that can be built to those ready; false when there is none.
  bool build_next() {
    for (; next_ < plans_->count(); ++next_) {
      if (!plans_->build(next_)) {
        refusal_ = plans_->refusal();
      } else if (plans_->workspace(next_) > bound_) {
        refusal_ = fmt::format("{} wants {} bytes of workspace, {} are allowed", plans_->name(next_),
                               plans_->workspace(next_), bound_);
      } else {
        ready_.push_back(next_++);
        return true;
      }
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
      const auto less = std::find_if(ready_.begin(), ready_.end(),
                                     [&](int64_t other) { return plans_->workspace(other) < plans_->workspace(plan); });
      if (less == ready_.end()) throw;
      run_one(*less, context, pointers);
    }
  }

  // Orders the plans by time, and drops those that fail or lose NaN.
  void compare(Context& context, Device device) {
    std::vector<std::pair<double, int64_t>> times;
    try {
      const Trial trial(graph_, device);
      context.wait();  // the clock shall not run for earlier work; so the wait is counted, too
      for (const int64_t plan : ready_) {
        try {
          const Scratch workspace(context, plans_->workspace(plan));
          times.emplace_back(ready_.size() == 1 ? 0 : plans_->time(plan, context, trial.pointers, workspace.as<void>()),
                             plan);
        } catch (const BackendError& error) {
          refusal_ = error.what();
        }
      }
      std::sort(times.begin(), times.end());
      if (graph_.activation != Activation::none) {
        set_nan(context, graph_.dtype, trial.pointers.bias);  // its first element counts in the first of y
        std::erase_if(times, [&](const auto& timed) {
          const Scratch workspace(context, plans_->workspace(timed.second));
          plans_->run(timed.second, context, trial.pointers, workspace.as<void>());
          if (is_nan(context, graph_.dtype, trial.pointers.y)) return false;
          refusal_ = fmt::format("the ReLU of {} loses NaN", plans_->name(timed.second));
          return true;
        });
      }
    } catch (const OutOfMemory&) {
      // No room for operands beside the user's: the library's guess has to do. Its ReLU could not be checked.
      if (graph_.activation == Activation::none) return;
      refusal_ = "out of memory while its plans were tried";
      times.clear();
    }
    ready_.clear();
    for (const auto& [time, plan] : times) ready_.push_back(plan);
  }

  const ConvGraph graph_;
  const std::unique_ptr<ConvPlans> plans_;
  const int64_t bound_;
  int64_t next_ = 0;            // the first plan that was not tried yet
  std::vector<int64_t> ready_;  // built, best first
  std::string refusal_;         // why a plan was left out last
};

struct Key {
  Device device;
  ConvGraph graph;
  friend bool operator==(const Key&, const Key&) = default;
};
struct KeyHash {
  size_t operator()(const Key& key) const {
    return ConvGraphHash{}(key.graph) + static_cast<size_t>(key.device.index());
  }
};

// A choice is made under a lock of its own, so that threads that need others go on.
struct Entry {
  std::mutex mutex;
  std::unique_ptr<Choice> choice;
};

PlanCache<Key, std::shared_ptr<Entry>, KeyHash>& choices() {
  static auto* const instance = new PlanCache<Key, std::shared_ptr<Entry>, KeyHash>(conv_choices);
  return *instance;  // never destroyed, as contexts are not
}

// Computes the graph; the reason when no plan can, else empty.
std::string compute(Device device, ConvGraph& graph, const ConvPointers& pointers) {
  const auto align = [](ConvOperand& operand, const void* data) {
    if (operand) operand.alignment = alignment_of(data);
  };
  align(graph.x, pointers.x), align(graph.weight, pointers.weight), align(graph.y, pointers.y);
  align(graph.add, pointers.add), align(graph.bias, pointers.bias);
  const auto entry = choices().get({device, graph}, [] { return std::make_shared<Entry>(); });
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
