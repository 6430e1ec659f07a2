// Timing, choosing and remembering plans.
#include "cuda/conv_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <list>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/kernels/copy.h"
#include "cuda/check.h"
#include "cuda/context.h"
#include "dnn/error.h"

namespace dnn::cuda {

namespace {

constexpr int64_t most_workspace = int64_t{1} << 30;

int64_t plans_to_time() {
  constexpr int64_t usual = 8;
  const char* const text = std::getenv("DNN_CONV_PLANS");
  if (text == nullptr) return usual;
  int64_t count = 0;
  const char* const end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, count);
  if (error != std::errc() || stop != end || count < 1)
    throw ArgumentError(fmt::format("conv2d: DNN_CONV_PLANS is \"{}\", expected a number of plans from 1 on", text));
  return count;
}

int64_t workspace_bound() {
  size_t free = 0, total = 0;
  DNN_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return std::min(static_cast<int64_t>(free / 4), most_workspace);
}

// Operands of a graph in memory of their own.
class Trial {
 public:
  Trial(const ConvGraph& graph, Device device) {
    const auto allocate = [&](const ConvOperand& operand) -> void* {
      if (!operand) return nullptr;
      const auto& d = operand.dims;
      tensors_.push_back(detail::allocate({d[0] * d[1] * d[2] * d[3]}, graph.dtype, device));
      kernel::random_normal[device](tensors_.back(), 0, tensors_.size());
      return detail::raw(tensors_.back());
    };
    pointers_ = {allocate(graph.x), allocate(graph.weight), allocate(graph.y), allocate(graph.add),
                 allocate(graph.bias)};
  }
  const ConvPointers& pointers() const { return pointers_; }
  // Every element of every operand becomes NaN, which all ones are in every floating type.
  void fill_with_nan(const Context& context) const {
    for (const Tensor& t : tensors_)
      DNN_CUDA_CHECK(cudaMemsetAsync(detail::raw(t), 0xff, bytes_of(t), context.stream()));
  }
  // Whether an element of y, which comes third, is NaN. Waits.
  bool has_nan(const Context& context) const {
    const Tensor& y = tensors_[2];
    const Tensor host = detail::allocate(y.shape(), y.dtype(), Device::cpu());
    DNN_CUDA_CHECK(
        cudaMemcpyAsync(detail::raw(host), detail::raw(y), bytes_of(y), cudaMemcpyDeviceToHost, context.stream()));
    DNN_CUDA_CHECK(cudaStreamSynchronize(context.stream()));
    const auto values = host.to(DType::float32).to_vector<float>();
    return std::any_of(values.begin(), values.end(), [](float value) { return value != value; });
  }

 private:
  static size_t bytes_of(const Tensor& t) { return static_cast<size_t>(t.numel()) * size_of(t.dtype()); }

  std::vector<Tensor> tensors_;
  ConvPointers pointers_;
};

// The plans of a graph, those that may run best first.
class Choice {
 public:
  Choice(const ConvGraph& graph, Context& context, Device device)
      : graph_(graph), plans_(conv_plans(graph, context)), bound_(workspace_bound()) {
    const int64_t wanted = plans_to_time();
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
      for (const int64_t plan : ready_) {
        try {
          const Scratch workspace(context, plans_->workspace(plan));
          times.emplace_back(
              ready_.size() == 1 ? 0 : plans_->time(plan, context, trial.pointers(), workspace.as<void>()), plan);
        } catch (const BackendError& error) {
          refusal_ = error.what();
        }
      }
      std::sort(times.begin(), times.end());
      if (graph_.activation != Activation::none)
        std::erase_if(times, [&](const auto& timed) {
          trial.fill_with_nan(context);
          const Scratch workspace(context, plans_->workspace(timed.second));
          plans_->run(timed.second, context, trial.pointers(), workspace.as<void>());
          if (trial.has_nan(context)) return false;
          refusal_ = fmt::format("the ReLU of {} loses NaN", plans_->name(timed.second));
          return true;
        });
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

// The choices made, most recently used first. Each is made under a lock of its own, so that threads that need others
// go on.
class Choices {
 public:
  struct Entry {
    std::mutex mutex;
    std::unique_ptr<Choice> choice;
  };

  std::shared_ptr<Entry> entry(const Key& key) {
    const std::lock_guard lock(mutex_);
    if (const auto found = index_.find(key); found != index_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return found->second->second;
    }
    entries_.emplace_front(key, std::make_shared<Entry>());
    index_[key] = entries_.begin();
    if (entries_.size() > conv_choices) {
      index_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return entries_.front().second;
  }
  size_t size() {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    index_.clear(), entries_.clear();
  }

 private:
  using Entries = std::list<std::pair<Key, std::shared_ptr<Entry>>>;
  std::mutex mutex_;
  Entries entries_;
  std::unordered_map<Key, Entries::iterator, KeyHash> index_;
};

Choices& choices() {
  static auto* const instance = new Choices;  // never destroyed, as contexts are not
  return *instance;
}

// Computes the graph; the reason when no plan can, else empty.
std::string compute(Device device, ConvGraph& graph, const ConvPointers& pointers) {
  const auto align = [](ConvOperand& operand, const void* data) {
    if (operand) operand.alignment = alignment_of(data);
  };
  align(graph.x, pointers.x), align(graph.weight, pointers.weight), align(graph.y, pointers.y);
  align(graph.add, pointers.add), align(graph.bias, pointers.bias);
  const auto entry = choices().entry({device, graph});
  const std::lock_guard lock(entry->mutex);
  Context& context = Context::of(device.index());
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
