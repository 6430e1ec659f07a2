// Timing, choosing and remembering.
#include "cuda/norm_choice.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>
#include <vector>

#include "core/plan_file.h"
#include "core/storage.h"
#include "cuda/check.h"
#include "cuda/context.h"
#include "cuda/conv_graph.h"
#include "cuda/conv_plan.h"
#include "cuda/kernels.h"
#include "cuda/norm_packed.h"
#include "cuda/norm_trial.h"
#include "cuda/plan_cache.h"
#include "cuda/trial.h"
#include "dnn/error.h"

namespace dnn::cuda {

namespace {

constexpr int64_t most_workspace = int64_t{1} << 30;

// The tensors of a call of either slot; undefined where the graph has none.
struct NormCall {
  Tensor x, weight, bias, mean, inv_std;
  Tensor add, y;
  kernel::RunningStatistics running;
  Tensor grad;
  kernel::BatchNormGradients gradients;

  NormPointers pointers() const {
    const auto raw = [](const Tensor& t) -> void* { return t.defined() ? detail::raw(t) : nullptr; };
    return {.x = raw(x),
            .weight = raw(weight),
            .bias = raw(bias),
            .mean = raw(mean),
            .inv_std = raw(inv_std),
            .y = raw(y),
            .add = raw(add),
            .running_mean = raw(running.mean),
            .running_var = raw(running.var),
            .grad = raw(grad),
            .grad_x = raw(gradients.input),
            .grad_weight = raw(gradients.weight),
            .grad_bias = raw(gradients.bias),
            .grad_add = raw(gradients.add)};
  }
};

void run_own(const NormGraph& graph, const NormCall& call) {
  if (graph.pass == NormPass::forward)
    return packed::batch_norm_train(call.x, call.weight, call.bias, call.add,
                                    graph.relu ? Activation::relu : Activation::none, graph.eps, call.running,
                                    call.mean, call.inv_std, call.y);
  packed::batch_norm_backward(call.grad, call.x, call.y, call.weight,
                              graph.sign == NormSign::input ? call.bias : Tensor(), call.mean, call.inv_std,
                              graph.sign == NormSign::none ? Activation::none : Activation::relu, true, call.gradients);
}

// Operands of a graph in memory of their own, and results: those of our own kernels and those to compare with them.
class Trial {
 public:
  Trial(const NormGraph& graph, Context& context, Device device) : context_(context), device_(device), graph_(graph) {
    inputs_.x = random_image();
    inputs_.weight = random_channels(), inputs_.bias = random_channels();
    if (graph.pass == NormPass::forward) {
      if (graph.add) inputs_.add = random_image();
      if (graph.running) add_running_statistics();
    } else {
      inputs_.grad = random_image();
      run_forward();
    }
    own_ = with_results();
    run_own(graph_, own_);
    other_ = with_results();
  }

  // Of the results to compare.
  const NormCall& call() const { return other_; }

  // Makes the results no right ones, and the running statistics what they were before a call.
  void forget() const {
    each_result([&](const Tensor& other, const Tensor&, const Nearness&) {
      const auto bytes = static_cast<size_t>(other.numel()) * size_of(other.dtype());
      DNN_CUDA_CHECK(cudaMemsetAsync(detail::raw(other), 0xff, bytes, context_.stream()));
    });
    if (!graph_.running) return;
    copy(inputs_.running.mean, other_.running.mean), copy(inputs_.running.var, other_.running.var);
  }

  // Whether they are near those of our own kernels.
  bool is_right() const {
    bool right = true;
    each_result([&](const Tensor& other, const Tensor& own, const Nearness& nearness) {
      right = right && are_near(other, own, nearness);
    });
    return right;
  }

  // Makes the first element of x NaN, and with it its channel.
  void spoil() const { set_nan(context_, graph_.dtype, detail::raw(inputs_.x)); }
  bool kept_nan() const { return is_nan(context_, graph_.dtype, detail::raw(other_.y)); }

 private:
  Tensor image() const {
    const auto& d = graph_.dims;
    Tensor result = detail::allocate({d[0], d[1], d[2], d[3]}, graph_.dtype, device_);
    detail::set_layout(result, detail::Layout::channels_last);
    return result;
  }
  Tensor channels() const { return detail::allocate({graph_.channels()}, DType::float32, device_); }
  Tensor random_image() { return random(image()); }
  Tensor random_channels() { return random(channels()); }
  Tensor random(Tensor tensor) {
    random_normal(tensor, {0, ++drawn_});
    return tensor;
  }
  void copy(const Tensor& from, const Tensor& to) const {
    context_.copy(detail::raw(to), detail::raw(from), from.numel() * static_cast<int64_t>(size_of(from.dtype())));
  }
  Tensor copy_of(const Tensor& tensor) const {
    Tensor result = detail::allocate_like(tensor);
    copy(tensor, result);
    return result;
  }

  void add_running_statistics() {
    inputs_.running.mean = random_channels(), inputs_.running.var = random_channels();
    inputs_.running.batches = detail::allocate({}, DType::int64, device_);
    fill(inputs_.running.batches, 0);
    inputs_.running.momentum = graph_.momentum;
  }

  // What the forward pass leaves for the backward pass.
  void run_forward() {
    inputs_.mean = channels(), inputs_.inv_std = channels();
    const Tensor add = graph_.sign == NormSign::output ? random_image() : Tensor();
    const auto forward = [&](Activation activation) {
      const Tensor y = image();
      packed::batch_norm_train(inputs_.x, inputs_.weight, inputs_.bias, add, activation, 1e-5, {}, inputs_.mean,
                               inputs_.inv_std, y);
      return y;
    };
    if (graph_.sign == NormSign::input) before_ = forward(Activation::none);
    inputs_.y = forward(graph_.sign == NormSign::none ? Activation::none : Activation::relu);
  }

  // The inputs with results of their own.
  NormCall with_results() const {
    NormCall call = inputs_;
    if (graph_.pass == NormPass::forward) {
      call.mean = channels(), call.inv_std = channels(), call.y = image();
      if (!graph_.running) return call;
      call.running.mean = copy_of(inputs_.running.mean), call.running.var = copy_of(inputs_.running.var);
      return call;
    }
    call.gradients.input = image(), call.gradients.weight = channels(), call.gradients.bias = channels();
    if (graph_.fork) call.gradients.add = image();
    return call;
  }

  // Calls visit(other, own, nearness) for each result. All numbers but sums are of order 1: an element has at most a
  // few roundings to 16 bits behind it, and sums of as many products as there are pixels are of the order of the root
  // of their number.
  template <class Visit>
  void each_result(const Visit& visit) const {
    const float unit = graph_.dtype == DType::bfloat16 ? 0x1p-8f : 0x1p-11f;
    const Nearness element{4 * unit, 4}, behind{4 * unit, 4, before_}, number{1e-3f, 1};
    const Nearness sum{1e-2f, std::sqrt(static_cast<float>(graph_.numel() / graph_.channels()))};
    const auto visit_if = [&](const Tensor& other, const Tensor& own, const Nearness& nearness) {
      if (own.defined()) visit(other, own, nearness);
    };
    if (graph_.pass == NormPass::forward) {
      visit(other_.y, own_.y, element);
      visit(other_.mean, own_.mean, number), visit(other_.inv_std, own_.inv_std, number);
      visit_if(other_.running.mean, own_.running.mean, number), visit_if(other_.running.var, own_.running.var, number);
      return;
    }
    visit(other_.gradients.input, own_.gradients.input, behind);
    visit_if(other_.gradients.add, own_.gradients.add, behind);
    visit(other_.gradients.weight, own_.gradients.weight, sum), visit(other_.gradients.bias, own_.gradients.bias, sum);
  }

  Context& context_;
  const Device device_;
  const NormGraph graph_;
  uint64_t drawn_ = 0;
  NormCall inputs_, own_, other_;
  Tensor before_;  // the input of a ReLU whose sign may be computed otherwise than ours
};

// The plans of a graph that are better than our own kernels, best first.
class Choice {
 public:
  // With `anew`, whatever a process before this one found.
  Choice(const NormGraph& graph, Context& context, Device device, bool anew = false)
      : graph_(graph), origin_(trial_origin(conv_library(), context, device)) {
    const int64_t wanted = plans_to_try("batch_norm", "DNN_NORM_PLANS", 4) - 1;
    if (wanted == 0) return;
    try {
      plans_ = norm_plans(graph, context);
      if (!anew && take_known(wanted)) return;
      std::vector<int64_t> built;
      // A plan that cannot be built may have been compiled in vain: the next is not taken in its place.
      for (int64_t plan = 0; plan < std::min(plans_->count(), wanted); ++plan) {
        if (plans_->build(plan) && plans_->workspace(plan) <= most_workspace) built.push_back(plan);
      }
      if (!built.empty()) compare(built, context, device);
      if (!anew && !short_of_memory_)
        detail::keep_plan(origin_, text_of(graph_),
                          {ready_.empty() ? own_kernels : plans_->name(ready_.front()), best_, wanted});
    } catch (const BackendError&) {
      ready_.clear();
    } catch (const OutOfMemory&) {
      ready_.clear();
    }
    if (ready_.empty()) plans_.reset();
  }

  // False when our own kernels shall compute.
  bool run(Context& context, const NormCall& call) {
    while (!ready_.empty()) {
      try {
        run_plan(ready_.front(), context, call);
        return true;
      } catch (const BackendError&) {
        ready_.erase(ready_.begin());
      } catch (const OutOfMemory&) {
        return false;
      }
    }
    return false;
  }

  const std::vector<NormTime>& times() const { return times_; }

 private:
  // Takes what a process before this one found; false when there is nothing that serves.
  bool take_known(int64_t wanted) {
    const auto known = detail::known_plan(origin_, text_of(graph_));
    if (!known || known->tried < wanted) return false;
    if (known->name == own_kernels) return true;
    for (int64_t plan = 0; plan < plans_->count(); ++plan) {
      if (plans_->name(plan) != known->name) continue;
      if (!plans_->build(plan)) return false;
      ready_ = {plan};
      return true;
    }
    return false;
  }

  void run_plan(int64_t plan, Context& context, const NormCall& call) {
    const Scratch workspace(context, plans_->workspace(plan));
    plans_->run(plan, context, call.pointers(), workspace.as<void>());
    context.called("cudnnBackendExecute");
    if (call.running.batches.defined()) count_batch(call.running.batches);
  }

  // Keeps the plans that are right, and faster than our own kernels.
  void compare(const std::vector<int64_t>& built, Context& context, Device device) {
    Trial trial(graph_, context, device);
    TrialClock clock(context);
    const double own = clock.time([&] { run_own(graph_, trial.call()); });
    times_.push_back({own_kernels, own});
    std::vector<std::pair<double, int64_t>> faster;
    for (const int64_t plan : built) {
      try {
        trial.forget();
        run_plan(plan, context, trial.call());
        if (!trial.is_right()) continue;
        const double time = plans_->time(plan, clock, [&] { run_plan(plan, context, trial.call()); });
        times_.push_back({plans_->name(plan), time, plans_->workspace(plan)});
        if (time < own) faster.emplace_back(time, plan);
      } catch (const BackendError&) {
        // Not one to choose.
      } catch (const OutOfMemory&) {
        short_of_memory_ = true;
      }
    }
    if (graph_.relu) {
      trial.spoil();
      std::erase_if(faster, [&](const auto& timed) {
        try {
          trial.forget();
          run_plan(timed.second, context, trial.call());
          return !trial.kept_nan();
        } catch (const BackendError&) {
          return true;
        } catch (const OutOfMemory&) {
          return short_of_memory_ = true;
        }
      });
    }
    std::sort(faster.begin(), faster.end());
    for (const auto& [time, plan] : faster) ready_.push_back(plan);
    best_ = faster.empty() ? own : faster.front().first;
  }

  static constexpr const char* own_kernels = "own";

  const NormGraph graph_;
  const std::string origin_;
  std::unique_ptr<NormPlans> plans_;
  std::vector<int64_t> ready_;
  double best_ = 0;               // milliseconds of what was chosen
  bool short_of_memory_ = false;  // a plan could not be tried for the moment
  std::vector<NormTime> times_;   // of what is right
};

using AllChoices = Choices<NormGraph, NormGraphHash, Choice>;
AllChoices& choices() {
  static auto* const instance = new AllChoices(norm_choices);
  return *instance;  // never destroyed, as contexts are not
}

bool run_chosen(const NormGraph& graph, const NormCall& call) {
  const NormPointers p = call.pointers();
  for (const void* const operand :
       {p.weight, p.bias, p.mean, p.inv_std, p.running_mean, p.running_var, p.grad_weight, p.grad_bias})
    if (alignment_of(operand) < 16) return false;  // that of the images is known; null is aligned
  const Device device = call.x.device();
  const auto entry = choices().of(device, graph);
  Context& context = Context::of(device.index());  // may wait for another thread's recording, which may want the entry
  const std::lock_guard lock(entry->mutex);
  if (!entry->choice) {
    if (context.recording() != nullptr) return false;  // a trial waits, which no recorded step can
    entry->choice = std::make_unique<Choice>(graph, context, device);
  }
  return entry->choice->run(context, call);
}

}  // namespace

bool try_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add, Activation activation,
                    double eps, const kernel::RunningStatistics& running, const Tensor& mean, const Tensor& inv_std,
                    const Tensor& out) {
  if (!has_norm_graph(x)) return false;
  NormCall call;
  call.x = x, call.weight = weight, call.bias = bias, call.mean = mean, call.inv_std = inv_std;
  call.add = add, call.y = out, call.running = running;
  return run_chosen(norm_graph(x, add, activation, eps, running), call);
}

bool try_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& weight, const Tensor& bias,
                       const Tensor& mean, const Tensor& inv_std, Activation activation,
                       const kernel::BatchNormGradients& out) {
  if (!has_norm_graph(x) || !has_norm_graph(out)) return false;
  NormCall call;
  call.x = x, call.weight = weight, call.bias = bias, call.mean = mean, call.inv_std = inv_std;
  call.y = y, call.grad = grad, call.gradients = out;
  return run_chosen(norm_graph(x, bias, activation, out), call);
}

std::vector<NormTime> norm_times(const NormGraph& graph, Device device) {
  return Choice(graph, Context::of(device.index()), device, true).times();
}

size_t chosen_norms() { return choices().size(); }
void forget_norms() { choices().clear(); }

}  // namespace dnn::cuda
