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
#include <string_view>

#include "core/cpu/conv.h"
#include "core/cpu/onednn.h"
#include "core/cpu/packed_weights.h"
#include "core/kernels/elementwise.h"
#include "dnn/precision.h"

namespace dnn::cpu::conv_onednn {
namespace {

using detail::Layout;
using kernel::ConvProblem;
using namespace onednn;

enum class Direction : uint8_t { forward, backward_data, backward_weight };

// What a plan is made for.
struct PlanKey {
  ConvProblem problem;
  Direction direction = Direction::forward;
  Layout x = Layout::plain;
  Layout y = Layout::plain;
  std::optional<Layout> add = std::nullopt;
  bool bias = false;
  bool accumulate = false;  // of the gradient
  bool winograd = false;
  int threads = 0;
  friend bool operator==(const PlanKey&, const PlanKey&) = default;
};

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
  MemoryDesc x;  // as the primitive works on them
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

Layout native_layout() { return native_block() == 16 ? Layout::blocked16 : Layout::blocked8; }

// Whether the two layouts of the shape are the same order of elements.
bool same_order(Layout a, Layout b, const Shape& nchw) {
  const auto flat = [&](Layout layout) {
    const bool one_order = nchw[2] * nchw[3] == 1 || (nchw[1] == 1 && layout <= Layout::channels_last);
    return one_order ? Layout::channels_last : layout;
  };
  return flat(a) == flat(b);
}

struct LayoutPair {
  Layout x;
  Layout y;
  friend bool operator==(LayoutPair, LayoutPair) = default;
};

// Whether the algorithm of Winograd, which works on tiles of 4x4 results, is faster: not with few tiles, whose work
// does not outweigh the transformation of the weights, nor with few channels. (oneDNN's own choice is more timid.)
bool suits_winograd(const ConvProblem& p, Direction direction) {
  const auto along = [](int64_t size) { return (size + 3) / 4; };
  const int64_t tiles = p.output[0] * along(p.output[2]) * along(p.output[3]);
  const int64_t channels = std::min(p.input[1], p.output[1]);
  const bool large = (tiles >= 48 && channels >= 32) || (tiles >= 512 && direction == Direction::backward_weight);
  return large && p.groups == 1 && p.weight[2] == 3 && p.weight[3] == 3 && p.stride == Size2(1) &&
         p.dilation == Size2(1) && native_block() == 16;
}

// The layouts that the primitive should work in.
LayoutPair working_layouts(const ConvProblem& p, Layout x, Direction direction) {
  const int64_t c = p.input[1], k = p.output[1], block = native_block();
  const bool depthwise = p.groups == c && p.groups == k;
  const int64_t groups = depthwise ? 1 : p.groups;
  if (groups == 1 && c <= 3 && k % block == 0 && direction != Direction::backward_data && x == Layout::plain) {
    return {Layout::plain, native_layout()};
  }
  if (c / groups % block == 0 && k / groups % block == 0 && x != Layout::channels_last) {
    return {native_layout(), native_layout()};
  }
  return {Layout::channels_last, Layout::channels_last};
}

MemoryDesc describe_weight(const ConvProblem& p, dnnl_format_tag_t plain, dnnl_format_tag_t grouped) {
  if (p.groups == 1) return describe(p.weight, plain);
  return describe({p.groups, p.weight[0] / p.groups, p.weight[1], p.weight[2], p.weight[3]}, grouped);
}

// The addition is a sum with what the output holds before, so the addend is copied there first. (A binary operation
// would spare the copy, but oneDNN 2.6's gives wrong results in several of its convolutions.)
Attributes post_operations(const PlanKey& key) {
  Attributes attributes = make_attributes();
  dnnl_post_ops_t operations = nullptr;
  DNN_ONEDNN(dnnl_post_ops_create(&operations));
  const PostOps owner(operations);
  if (key.add) DNN_ONEDNN(dnnl_post_ops_append_sum(operations, 1.0f));
  DNN_ONEDNN(dnnl_primitive_attr_set_post_ops(attributes.get(), operations));
  return attributes;
}

PrimitiveDesc create(const dnnl_convolution_desc_t& operation, const Attributes& attributes,
                     const PrimitiveDesc& forward) {
  dnnl_primitive_desc_t desc = nullptr;
  const dnnl_status_t status = dnnl_primitive_desc_create(&desc, &operation, attributes.get(), engine(), forward.get());
  if (status == dnnl_unimplemented) return nullptr;
  DNN_ONEDNN(status);
  return PrimitiveDesc(desc);
}

// Null when oneDNN has no implementation in these layouts.
PrimitiveDesc describe_primitive(const PlanKey& key, LayoutPair layouts) {
  const ConvProblem& p = key.problem;
  const MemoryDesc x = describe(p.input, layouts.x), y = describe(p.output, layouts.y);
  const MemoryDesc weight = describe_weight(p, dnnl_format_tag_any, dnnl_format_tag_any);
  const MemoryDesc bias = describe({p.output[1]}, dnnl_x);
  const dnnl_dims_t stride = {p.stride.h, p.stride.w}, padding = {p.padding.h, p.padding.w};
  const dnnl_dims_t dilation = {p.dilation.h - 1, p.dilation.w - 1};
  const MemoryDesc* optional_bias = key.bias ? &bias : nullptr;
  const dnnl_alg_kind_t algorithm = key.winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
  dnnl_convolution_desc_t operation;
  DNN_ONEDNN(dnnl_dilated_convolution_forward_desc_init(
      &operation, dnnl_forward_training, algorithm, &x, &weight,
      key.direction == Direction::backward_data ? nullptr : optional_bias, &y, stride, dilation, padding, padding));
  if (key.direction == Direction::forward) return create(operation, post_operations(key), nullptr);
  PrimitiveDesc forward = create(operation, make_attributes(), nullptr);
  if (!forward) return nullptr;
  if (key.direction == Direction::backward_data) {
    DNN_ONEDNN(dnnl_dilated_convolution_backward_data_desc_init(&operation, algorithm, &x, &weight, &y, stride,
                                                                dilation, padding, padding));
  } else {
    DNN_ONEDNN(dnnl_dilated_convolution_backward_weights_desc_init(&operation, algorithm, &x, &weight, optional_bias,
                                                                   &y, stride, dilation, padding, padding));
  }
  return create(operation, make_attributes(), forward);
}

// Whether some window holds nothing but padding.
bool has_empty_windows(const ConvProblem& p) {
  const auto along = [](int64_t input, int64_t output, int64_t taps, int64_t stride, int64_t padding,
                        int64_t dilation) {
    for (int64_t o = 0; o < output; ++o) {
      bool empty = true;
      for (int64_t tap = 0; tap < taps && empty; ++tap) {
        const int64_t position = o * stride - padding + tap * dilation;
        empty = position < 0 || position >= input;
      }
      if (empty) return true;
    }
    return false;
  };
  return along(p.input[2], p.output[2], p.weight[2], p.stride.h, p.padding.h, p.dilation.h) ||
         along(p.input[3], p.output[3], p.weight[3], p.stride.w, p.padding.w, p.dilation.w);
}

// Plain loops are slow. oneDNN 2.6's brgconv crashes in post operations of windows without input, and its SSE4.1
// kernels (the depthwise ones at least) in a sum whose pixels are not aligned to a whole block.
bool is_usable(const PrimitiveDesc& desc, const ConvProblem& problem) {
  const char* text = nullptr;
  DNN_ONEDNN(dnnl_primitive_desc_query(desc.get(), dnnl_query_impl_info_str, 0, &text));
  const std::string_view name = text;
  if (name.starts_with("ref")) return false;
  if (name.starts_with("brg")) return !has_empty_windows(problem);
  if (name.ends_with("sse41")) return problem.input[1] % 8 == 0 && problem.output[1] % 8 == 0;
  return true;
}

// The primitive in the preferred layouts when it is usable, else in others; gemm in the plain layout takes anything.
std::pair<PrimitiveDesc, LayoutPair> choose_primitive(PlanKey key) {
  const LayoutPair preferred = working_layouts(key.problem, key.x, key.direction);
  if (key.winograd && suits_winograd(key.problem, key.direction) && preferred.x == Layout::blocked16) {
    PrimitiveDesc desc = describe_primitive(key, preferred);
    if (desc) return {std::move(desc), preferred};
  }
  key.winograd = false;
  constexpr LayoutPair plain{Layout::plain, Layout::plain};
  for (const LayoutPair layouts : {preferred, LayoutPair{Layout::channels_last, Layout::channels_last}, plain}) {
    PrimitiveDesc desc = describe_primitive(key, layouts);
    if (desc && is_usable(desc, key.problem)) return {std::move(desc), layouts};
  }
  PrimitiveDesc desc = describe_primitive(key, plain);
  if (!desc) DNN_ONEDNN(dnnl_unimplemented);
  return {std::move(desc), plain};
}

Plan make_plan(const PlanKey& key) {
  const auto [desc, layouts] = choose_primitive(key);
  const ConvProblem& p = key.problem;
  const bool forward = key.direction == Direction::forward, to_data = key.direction == Direction::backward_data;
  Plan plan;
  plan.conv = Executable(desc);
  plan.x = describe(p.input, layouts.x);
  plan.y = describe(p.output, layouts.y);
  plan.writes_weight = key.direction == Direction::backward_weight;
  plan.plain_weight = describe_weight(p, dnnl_oihw, dnnl_goihw);
  const dnnl_query_t weight_query =
      key.direction == Direction::backward_weight ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
  plan.packed_weight = *dnnl_primitive_desc_query_md(desc.get(), weight_query, 0);
  plan.conv.bind(to_data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, plan.x);
  plan.conv.bind(forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, plan.y);
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
  plan.conv.run({{DNNL_ARG_SRC, brought_in(plan.reorder_x, x, pieces.x, pieces.scratch)},
                 {DNNL_ARG_WEIGHTS, packed(plan, weight, pieces.scratch)},
                 {DNNL_ARG_BIAS, bias.defined() ? detail::raw(bias) : nullptr},
                 {DNNL_ARG_DST, y}},
                pieces.scratch);
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
  plan.conv.run({{DNNL_ARG_DIFF_DST, brought_in(plan.reorder_y, grad_output, pieces.y, pieces.scratch)},
                 {DNNL_ARG_WEIGHTS, packed(plan, weight, pieces.scratch)},
                 {DNNL_ARG_DIFF_SRC, written_to(plan.reorder_x, grad_input, pieces.x)}},
                pieces.scratch);
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
