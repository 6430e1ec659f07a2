// float32 convolution by oneDNN, blocked layouts end to end.
//
// A plan is everything that one problem in given layouts needs: the primitive, and reorders for those tensors that do
// not come in the layout that it works in. Where the channels divide the native block, that is the blocked layout;
// elsewhere it is channels_last, whose kernels take any number of channels without padding. A first layer (up to three
// channels) reads the plain image. With AVX-512 oneDNN computes filters of 3x3 by the algorithm of Winograd where that
// is faster, unless `allow_winograd(false)`.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>

#include "core/cpu/conv.h"
#include "core/cpu/conv_primitive.h"
#include "core/cpu/onednn.h"
#include "core/cpu/packed_weights.h"
#include "core/kernels/elementwise.h"
#include "dnn/precision.h"

namespace dnn::cpu::conv_onednn {
namespace {

using detail::Layout;
using kernel::ConvProblem;
using namespace onednn;

struct PlanHash {
  size_t operator()(const PlanKey& key) const {
    const ConvProblem& p = key.problem;
    size_t hash = 0;
    for (const Shape* shape : {&p.input, &p.weight}) {
      for (const int64_t size : *shape) mix(hash, size);
    }
    for (const Size2 size : {p.stride, p.padding, p.dilation}) mix(hash, size.h), mix(hash, size.w);
    mix(hash, p.groups);
    mix(hash, static_cast<int64_t>(key.direction) * 16 + static_cast<int64_t>(key.x) * 4 + static_cast<int64_t>(key.y));
    mix(hash, key.add ? static_cast<int64_t>(*key.add) : -1);
    mix(hash, key.bias + 2 * key.accumulate + 4 * key.winograd);
    mix(hash, key.threads);
    return hash;
  }
};

struct Plan {
  Executable conv;
  int64_t parts = 1;  // of the batch, one after the other
  MemoryDesc x;       // as the primitive works on them
  MemoryDesc y;
  MemoryDesc packed_weight;
  MemoryDesc plain_weight;
  bool writes_weight = false;
  // Empty where the tensor is as the primitive wants it.
  Executable reorder_x;
  Executable reorder_y;
  Executable reorder_add;
  Executable reorder_weight;

  int64_t scratch_bytes() const {
    int64_t most = conv.scratch_bytes();
    for (const Executable* reorder : {&reorder_x, &reorder_y, &reorder_add, &reorder_weight}) {
      if (*reorder) most = std::max(most, reorder->scratch_bytes());
    }
    return most;
  }
};

Shape with_batch(Shape shape, int64_t n) {
  shape[0] = n;
  return shape;
}

Plan make_plan(const PlanKey& key) {
  const auto [desc, layouts, parts] = choose_primitive(key);
  const ConvProblem& p = key.problem;
  const bool forward = key.direction == Direction::forward, to_data = key.direction == Direction::backward_data;
  Plan plan;
  plan.conv = Executable(desc);
  plan.parts = parts;
  plan.x = describe(p.input, layouts.x);
  plan.y = describe(p.output, layouts.y);
  plan.writes_weight = key.direction == Direction::backward_weight;
  plan.plain_weight = describe_weight(p, dnnl_oihw, dnnl_goihw);
  const dnnl_query_t weight_query =
      key.direction == Direction::backward_weight ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
  plan.packed_weight = *dnnl_primitive_desc_query_md(desc.get(), weight_query, 0);
  const auto part_of = [&](const Shape& whole, Layout layout) {
    return describe(with_batch(whole, whole[0] / parts), layout);
  };
  plan.conv.bind(to_data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, part_of(p.input, layouts.x));
  plan.conv.bind(forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, part_of(p.output, layouts.y));
  plan.conv.bind(forward || to_data ? DNNL_ARG_WEIGHTS : DNNL_ARG_DIFF_WEIGHTS, plan.packed_weight);
  if (key.bias) plan.conv.bind(forward ? DNNL_ARG_BIAS : DNNL_ARG_DIFF_BIAS, describe({p.output[1]}, dnnl_x));

  const MemoryDesc outside_x = describe(p.input, key.x), outside_y = describe(p.output, key.y);
  if (to_data && (key.accumulate || !same_order(key.x, layouts.x, p.input))) {
    plan.reorder_x = make_reorder(plan.x, outside_x, key.accumulate);
  } else if (!same_order(key.x, layouts.x, p.input)) {
    plan.reorder_x = make_reorder(outside_x, plan.x);
  }
  if (!same_order(key.y, layouts.y, p.output)) {
    plan.reorder_y = forward ? make_reorder(plan.y, outside_y) : make_reorder(outside_y, plan.y);
  }
  if (key.add && !same_order(*key.add, layouts.y, p.output)) {
    plan.reorder_add = make_reorder(describe(p.output, *key.add), plan.y);
  }
  plan.reorder_weight = key.direction == Direction::backward_weight
                            ? make_reorder(plan.packed_weight, plan.plain_weight, key.accumulate)
                            : make_reorder(plan.plain_weight, plan.packed_weight);
  return plan;
}

LruCache<PlanKey, Plan, PlanHash>& plans() {
  static auto* const cache = new LruCache<PlanKey, Plan, PlanHash>(cache_capacity);
  return *cache;
}

const Plan& plan_for(PlanKey key) {
  key.threads = threads();
  key.winograd = winograd_allowed();
  return plans().get(key, [&] { return make_plan(key); });
}

// The plain weight as the primitive wants it.
const void* packed(const Plan& plan, const Tensor& weight, void* scratch) {
  if (!plan.reorder_weight) return detail::raw(weight);
  return packed_weights().get(weight, plan.packed_weight, [&](void* to) {
    plan.reorder_weight.run({{DNNL_ARG_FROM, detail::raw(weight)}, {DNNL_ARG_TO, to}}, scratch);
  });
}

// A piece of the workspace for every tensor that needs one, and the scratch memory of the primitives.
struct Pieces {
  explicit Pieces(const Plan& plan)
      : memory(Workspace::rounded(plan.scratch_bytes()) + x_bytes(plan) + y_bytes(plan) + weight_bytes(plan)),
        scratch(memory.take(plan.scratch_bytes())),
        x(memory.take(x_bytes(plan))),
        y(memory.take(y_bytes(plan))),
        weight(memory.take(weight_bytes(plan))) {}

  Workspace memory;
  void *const scratch, *const x, *const y, *const weight;

 private:
  static int64_t needed(bool wanted, const MemoryDesc& desc) { return wanted ? Workspace::rounded(bytes_of(desc)) : 0; }
  static int64_t x_bytes(const Plan& plan) { return needed(bool(plan.reorder_x), plan.x); }
  static int64_t y_bytes(const Plan& plan) { return needed(bool(plan.reorder_y), plan.y); }
  static int64_t weight_bytes(const Plan& plan) {
    return needed(plan.writes_weight && bool(plan.reorder_weight), plan.packed_weight);
  }
};

// The tensor as the primitive wants it.
const void* brought_in(const Executable& reorder, const Tensor& tensor, void* piece, void* scratch) {
  if (!reorder) return detail::raw(tensor);
  reorder.run({{DNNL_ARG_FROM, detail::raw(tensor)}, {DNNL_ARG_TO, piece}}, scratch);
  return piece;
}

// Where the primitive writes, and what brings it to the tensor afterwards.
void* written_to(const Executable& reorder, const Tensor& tensor, void* piece) {
  return reorder ? piece : detail::raw(tensor);
}
void bring_out(const Executable& reorder, void* piece, const Tensor& tensor, void* scratch) {
  if (reorder) reorder.run({{DNNL_ARG_FROM, piece}, {DNNL_ARG_TO, detail::raw(tensor)}}, scratch);
}

// The part of a tensor, in the layout of its plan, that part i of the batch is.
template <class T>
T* part(const Plan& plan, int64_t i, const MemoryDesc& whole, T* data) {
  using Bytes = std::conditional_t<std::is_const_v<T>, const char, char>;
  return static_cast<Bytes*>(data) + i * (bytes_of(whole) / plan.parts);
}

// Puts the addend where the primitive sums it with its result.
void copy_addend(const Plan& plan, const Tensor& add, void* to, void* scratch) {
  if (plan.reorder_add) return plan.reorder_add.run({{DNNL_ARG_FROM, detail::raw(add)}, {DNNL_ARG_TO, to}}, scratch);
  const float* const from = static_cast<const float*>(detail::raw(add));
  float* const sums = static_cast<float*>(to);
#pragma omp parallel for simd schedule(static)
  for (int64_t i = 0; i < add.numel(); ++i) sums[i] = from[i];
}

}  // namespace

Layout output_layout(const ConvProblem& problem, Layout input) {
  const Layout layout = working_layouts(problem, input, Direction::forward).y;
  return same_order(layout, Layout::plain, problem.output) ? Layout::plain : layout;
}

void forward(const ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
             Activation activation, const Tensor& out) {
  const std::lock_guard lock(mutex());
  const Plan& plan = plan_for({.problem = problem,
                               .direction = Direction::forward,
                               .x = detail::layout_of(x),
                               .y = detail::layout_of(out),
                               .add = add.defined() ? std::optional(detail::layout_of(add)) : std::nullopt,
                               .bias = bias.defined()});
  const Pieces pieces(plan);
  void* const y = written_to(plan.reorder_y, out, pieces.y);
  if (add.defined()) copy_addend(plan, add, y, pieces.scratch);
  const void* const input = brought_in(plan.reorder_x, x, pieces.x, pieces.scratch);
  const void* const filters = packed(plan, weight, pieces.scratch);
  for (int64_t i = 0; i < plan.parts; ++i) {
    plan.conv.run({{DNNL_ARG_SRC, part(plan, i, plan.x, input)},
                   {DNNL_ARG_WEIGHTS, filters},
                   {DNNL_ARG_BIAS, bias.defined() ? detail::raw(bias) : nullptr},
                   {DNNL_ARG_DST, part(plan, i, plan.y, y)}},
                  pieces.scratch);
  }
  bring_out(plan.reorder_y, pieces.y, out, pieces.scratch);
  // Not as a post operation of oneDNN, whose ReLU turns NaN into 0: a diverged net would look healthy.
  if (activation == Activation::relu) kernel::unary_forward<functor::Relu>[Device::cpu()](functor::Relu{}, out, out);
}

void backward_data(const ConvProblem& problem, const Tensor& grad_output, const Tensor& weight,
                   const Tensor& grad_input, bool accumulate) {
  const std::lock_guard lock(mutex());
  const Plan& plan = plan_for({.problem = problem,
                               .direction = Direction::backward_data,
                               .x = detail::layout_of(grad_input),
                               .y = detail::layout_of(grad_output),
                               .accumulate = accumulate});
  const Pieces pieces(plan);
  const void* const grad = brought_in(plan.reorder_y, grad_output, pieces.y, pieces.scratch);
  const void* const filters = packed(plan, weight, pieces.scratch);
  void* const result = written_to(plan.reorder_x, grad_input, pieces.x);
  for (int64_t i = 0; i < plan.parts; ++i) {
    plan.conv.run({{DNNL_ARG_DIFF_DST, part(plan, i, plan.y, grad)},
                   {DNNL_ARG_WEIGHTS, filters},
                   {DNNL_ARG_DIFF_SRC, part(plan, i, plan.x, result)}},
                  pieces.scratch);
  }
  bring_out(plan.reorder_x, pieces.x, grad_input, pieces.scratch);
}

void backward_weight(const ConvProblem& problem, const Tensor& x, const Tensor& grad_output, const Tensor& grad_weight,
                     bool accumulate_weight, const Tensor& grad_bias, bool accumulate_bias) {
  const std::lock_guard lock(mutex());
  const Plan& plan = plan_for({.problem = problem,
                               .direction = Direction::backward_weight,
                               .x = detail::layout_of(x),
                               .y = detail::layout_of(grad_output),
                               .bias = grad_bias.defined(),
                               .accumulate = accumulate_weight});
  const Pieces pieces(plan);
  // oneDNN overwrites: what the bias has is kept aside and added back.
  const int64_t channels = problem.output[1];
  float* const bias = grad_bias.defined() ? static_cast<float*>(detail::raw(grad_bias)) : nullptr;
  std::vector<float> earlier;
  if (accumulate_bias && bias != nullptr) earlier.assign(bias, bias + channels);
  plan.conv.run({{DNNL_ARG_SRC, brought_in(plan.reorder_x, x, pieces.x, pieces.scratch)},
                 {DNNL_ARG_DIFF_DST, brought_in(plan.reorder_y, grad_output, pieces.y, pieces.scratch)},
                 {DNNL_ARG_DIFF_WEIGHTS, written_to(plan.reorder_weight, grad_weight, pieces.weight)},
                 {DNNL_ARG_DIFF_BIAS, bias}},
                pieces.scratch);
  bring_out(plan.reorder_weight, pieces.weight, grad_weight, pieces.scratch);
  for (size_t i = 0; i < earlier.size(); ++i) bias[i] += earlier[i];
}

size_t cached_plans() {
  const std::lock_guard lock(mutex());
  return plans().size();
}

}  // namespace dnn::cpu::conv_onednn
