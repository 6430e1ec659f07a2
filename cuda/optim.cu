// The optimizers: one launch over all parameters (chunks.cuh). The formulas are PyTorch's.
//
// A parameter of float32 may have a gradient of 16 bits, which is read as it is, and a shadow of 16 bits, which is
// written in the same pass: SGD with momentum then moves 20 bytes per parameter. What multiplies the gradients, whether
// there is an update at all, and how many were skipped before, may stand in device memory.
#include <cmath>

#include "core/math.h"
#include "cuda/chunks.cuh"
#include "cuda/graph.h"
#include "cuda/kernels.h"

namespace dnn::cuda {

// A rule holds the constants of one step of its options, and updates one element: from parameter, gradient and states
// to the new parameter and, in place, the new states.

// v = momentum v + (1 - dampening) (g + decay p);  p -= lr v, or lr (g + momentum v) for Nesterov.
struct SgdRule {
  using Options = SgdUpdate;
  static constexpr int states = 1;
  double lr, momentum, fresh, decay;
  bool first_step, nesterov;

  __host__ __device__ SgdRule(const SgdUpdate& o, int64_t step)
      : lr(o.lr),
        momentum(o.momentum),
        fresh(1 - o.dampening),
        decay(o.weight_decay),
        first_step(step == 1),
        nesterov(o.nesterov) {}

  template <class C>
  __device__ C operator()(C p, C g, C* velocity) const {
    g += static_cast<C>(decay) * p;
    if (momentum == 0) return p - static_cast<C>(lr) * g;
    C& v = *velocity;
    v = first_step ? g : static_cast<C>(momentum) * v + static_cast<C>(fresh) * g;
    return p - static_cast<C>(lr) * (nesterov ? g + static_cast<C>(momentum) * v : v);
  }
};

struct AdamRule {
  using Options = AdamUpdate;
  static constexpr int states = 2;
  double rate;             // the learning rate over the bias correction of the mean
  double root_correction;  // of the root of the mean square
  double shrink;           // of the weight itself
  double decay;            // multiple of the weight in the gradient
  double fresh1, beta2, fresh2, eps;

  __host__ __device__ AdamRule(const AdamUpdate& o, int64_t step)
      : rate(o.lr / (1 - ::pow(o.beta1, static_cast<double>(step)))),
        root_correction(math::sqrt(1 - ::pow(o.beta2, static_cast<double>(step)))),
        shrink(o.decoupled_decay ? 1 - o.lr * o.weight_decay : 1),
        decay(o.decoupled_decay ? 0 : o.weight_decay),
        fresh1(1 - o.beta1),
        beta2(o.beta2),
        fresh2(1 - o.beta2),
        eps(o.eps) {}

  template <class C>
  __device__ C operator()(C p, C g, C* state) const {
    C &mean = state[0], &square = state[1];
    g += static_cast<C>(decay) * p;
    mean += static_cast<C>(fresh1) * (g - mean);
    square = static_cast<C>(beta2) * square + static_cast<C>(fresh2) * g * g;
    const C root = math::sqrt(square) / static_cast<C>(root_correction);
    return static_cast<C>(shrink) * p - static_cast<C>(rate) * mean / (root + static_cast<C>(eps));
  }
};

struct RmspropRule {
  using Options = RmspropUpdate;
  static constexpr int states = 3;
  double lr, alpha, fresh, eps, decay, momentum;
  bool centered;

  __host__ __device__ RmspropRule(const RmspropUpdate& o, int64_t)
      : lr(o.lr),
        alpha(o.alpha),
        fresh(1 - o.alpha),
        eps(o.eps),
        decay(o.weight_decay),
        momentum(o.momentum),
        centered(o.centered) {}

  template <class C>
  __device__ C operator()(C p, C g, C* state) const {
    C &square = state[0], &mean = state[1], &velocity = state[2];
    g += static_cast<C>(decay) * p;
    square = static_cast<C>(alpha) * square + static_cast<C>(fresh) * g * g;
    C variance = square;
    if (centered) {
      mean += static_cast<C>(fresh) * (g - mean);
      variance -= mean * mean;
    }
    velocity = static_cast<C>(momentum) * velocity + g / (math::sqrt(variance) + static_cast<C>(eps));
    return p - static_cast<C>(lr) * velocity;
  }
};

struct AdagradRule {
  using Options = AdagradUpdate;
  static constexpr int states = 1;
  double lr, eps, decay, initial_sum;

  __host__ __device__ AdagradRule(const AdagradUpdate& o, int64_t step)
      : lr(o.lr / (1 + static_cast<double>(step - 1) * o.lr_decay)),
        eps(o.eps),
        decay(o.weight_decay),
        initial_sum(step == 1 ? o.initial_sum : 0) {}

  template <class C>
  __device__ C operator()(C p, C g, C* sum) const {
    g += static_cast<C>(decay) * p;
    *sum += static_cast<C>(initial_sum) + g * g;
    return p - static_cast<C>(lr) * g / (math::sqrt(*sum) + static_cast<C>(eps));
  }
};

// UpdateControl in device memory; null for what is not there.
struct ControlNumbers {
  DeviceNumber factor;
  const float* skip;
  float* skipped;
};

namespace {

__device__ bool is(int64_t type, DType dtype) { return static_cast<DType>(type) == dtype; }

template <int width, class C>
__device__ void store_shadow(const ListEntry& entry, int64_t begin, int64_t item, int64_t n, const C (&values)[width]) {
  if (is(entry.shadow_type, DType::float16))
    store_item(static_cast<float16*>(entry.shadow) + begin, item, n, values);
  else
    store_item(static_cast<bfloat16*>(entry.shadow) + begin, item, n, values);
}

template <int width, class P, class G, class Rule>
__device__ void update_chunk(const Rule& rule, double gradient_factor, const ListEntry& entry, int64_t begin,
                             int64_t n) {
  using C = Compute<P>;
  P* parameter = static_cast<P*>(entry.parameter) + begin;
  const G* gradient = static_cast<const G*>(entry.gradient) + begin;
  P* states[Rule::states];
  for (int s = 0; s < Rule::states; ++s)
    states[s] = entry.states[s] == nullptr ? nullptr : static_cast<P*>(entry.states[s]) + begin;
  const C factor = static_cast<C>(gradient_factor);
  for (int64_t i = threadIdx.x; i * width < n; i += blockDim.x) {
    C p[width], g[width], s[Rule::states][width] = {};
    load_item(parameter, i, n, p);
    load_item(gradient, i, n, g);
    for (int j = 0; j < Rule::states; ++j) {
      if (states[j] != nullptr) load_item(states[j], i, n, s[j]);
    }
    for (int k = 0; k < width; ++k) {
      C state[Rule::states];
      for (int j = 0; j < Rule::states; ++j) state[j] = s[j][k];
      p[k] = rule(p[k], factor * g[k], state);
      for (int j = 0; j < Rule::states; ++j) s[j][k] = state[j];
    }
    store_item(parameter, i, n, p);
    for (int j = 0; j < Rule::states; ++j) {
      if (states[j] != nullptr) store_item(states[j], i, n, s[j]);
    }
    if constexpr (width == 8) {
      if (entry.shadow != nullptr) store_shadow(entry, begin, i, n, p);
    }
  }
}

template <class Rule>
__device__ void update_chunk(const Rule& rule, double factor, const ListEntry& entry, int64_t begin, int64_t n) {
  switch (static_cast<DType>(entry.type)) {
    case DType::float32:
      if (is(entry.gradient_type, DType::float16))
        update_chunk<8, float, float16>(rule, factor, entry, begin, n);
      else if (is(entry.gradient_type, DType::bfloat16))
        update_chunk<8, float, bfloat16>(rule, factor, entry, begin, n);
      else if (entry.shadow != nullptr)
        update_chunk<8, float, float>(rule, factor, entry, begin, n);
      else
        update_chunk<4, float, float>(rule, factor, entry, begin, n);
      break;
    case DType::float16: update_chunk<8, float16, float16>(rule, factor, entry, begin, n); break;
    case DType::bfloat16: update_chunk<8, bfloat16, bfloat16>(rule, factor, entry, begin, n); break;
    default: update_chunk<2, double, double>(rule, factor, entry, begin, n); break;
  }
}

}  // namespace

// The rule of a step; where updates may have been skipped, also what makes it.
template <class Rule>
struct RuleOfStep {
  typename Rule::Options options;
  int64_t step;
  Rule rule;
};

template <class Rule>
__global__ void optimizer_kernel(Varying<RuleOfStep<Rule>> varying, ControlNumbers control, ChunkTable table) {
  if (control.skip != nullptr && *control.skip != 0) {
    if (control.skipped != nullptr && blockIdx.x == 0 && threadIdx.x == 0) *control.skipped += 1;
    return;
  }
  const RuleOfStep<Rule> given = varying();
  Rule rule = given.rule;
  if (control.skipped != nullptr) {  // the constants of another step
    double* shared = block_shared<double, (sizeof(Rule) + 7) / 8>();
    if (threadIdx.x == 0)
      *reinterpret_cast<Rule*>(shared) = Rule(given.options, given.step - static_cast<int64_t>(*control.skipped));
    __syncthreads();
    rule = *reinterpret_cast<const Rule*>(shared);
  }
  const double factor = control.factor.value();
  for_each_chunk(
      table, [&](const ListEntry& entry, int64_t begin, int64_t n) { update_chunk(rule, factor, entry, begin, n); });
}

namespace {

// A list of states is null when the rule has no such state.
template <class Rule>
void update(const typename Rule::Options& options, int64_t step, const kernel::UpdateExtras& extras,
            const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
            const std::vector<Tensor>* first = nullptr, const std::vector<Tensor>* second = nullptr,
            const std::vector<Tensor>* third = nullptr) {
  ChunkList list;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto state = [i](const std::vector<Tensor>* states) {
      return states == nullptr ? nullptr : detail::raw((*states)[i]);
    };
    ListEntry entry{.parameter = detail::raw(parameters[i]),
                    .gradient = detail::raw(gradients[i]),
                    .states = {state(first), state(second), state(third)},
                    .n = parameters[i].numel(),
                    .type = static_cast<int64_t>(parameters[i].dtype()),
                    .gradient_type = static_cast<int64_t>(gradients[i].dtype())};
    if (!extras.shadows.empty() && extras.shadows[i].defined()) {
      entry.shadow = detail::raw(extras.shadows[i]);
      entry.shadow_type = static_cast<int64_t>(extras.shadows[i].dtype());
    }
    list.add(entry);
  }
  if (list.empty()) return;
  Context& context = Context::of(parameters.front());
  const UpdateControl& control = extras.control;
  const ControlNumbers numbers{DeviceNumber(control.factor), elements<float>(control.skip),
                               elements<float>(control.skipped)};
  const auto rule = [options, step, lr = control.lr, step_now = control.step, skips = control.skipped.defined()] {
    typename Rule::Options now = options;
    if (lr) now.lr = lr();
    int64_t number = step;
    if constexpr (requires { now.step; }) {
      if (step_now) number = now.step = step_now();
    }
    const Rule made(now, number);
    return skips ? RuleOfStep<Rule>{now, number, made} : RuleOfStep<Rule>{{}, 0, made};
  };
  launch(optimizer_kernel<Rule>, context.grid(list.chunks() * 256), context,
         varying(context, control.lr || control.step, rule), numbers, list.on(context));
}

}  // namespace

void sgd_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                const std::vector<Tensor>& velocities, const SgdUpdate& options, const kernel::UpdateExtras& extras) {
  update<SgdRule>(options, options.step, extras, parameters, gradients, options.momentum == 0 ? nullptr : &velocities);
}

void adam_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                 const std::vector<Tensor>& means, const std::vector<Tensor>& squares, const AdamUpdate& options,
                 const kernel::UpdateExtras& extras) {
  update<AdamRule>(options, options.step, extras, parameters, gradients, &means, &squares);
}

void rmsprop_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                    const std::vector<Tensor>& squares, const std::vector<Tensor>& means,
                    const std::vector<Tensor>& velocities, const RmspropUpdate& options,
                    const kernel::UpdateExtras& extras) {
  update<RmspropRule>(options, 1, extras, parameters, gradients, &squares, options.centered ? &means : nullptr,
                      options.momentum == 0 ? nullptr : &velocities);
}

void adagrad_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                    const std::vector<Tensor>& sums, const AdagradUpdate& options, const kernel::UpdateExtras& extras) {
  update<AdagradRule>(options, options.step, extras, parameters, gradients, &sums);
}

}  // namespace dnn::cuda
