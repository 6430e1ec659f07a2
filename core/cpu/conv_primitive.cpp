// Layouts, the algorithm of Winograd, and which implementations are not to be trusted.
#include "core/cpu/conv_primitive.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace dnn::cpu::conv_onednn {

using detail::Layout;
using kernel::ConvProblem;
using namespace onednn;

namespace {

Layout native_layout() { return native_block() == 16 ? Layout::blocked16 : Layout::blocked8; }

int64_t winograd_tiles(const ConvProblem& p) {
  const auto along = [](int64_t size) { return (size + 3) / 4; };
  return p.output[0] * along(p.output[2]) * along(p.output[3]);
}

// Whether the algorithm of Winograd, which works on tiles of 4x4 results, is faster: not with few tiles, whose work
// does not outweigh the transformation of the weights, nor with few channels. (oneDNN's own choice is more timid.)
bool suits_winograd(const ConvProblem& p, Direction direction) {
  const int64_t tiles = winograd_tiles(p);
  const int64_t channels = std::min(p.input[1], p.output[1]);
  const bool large = (tiles >= 48 && channels >= 32) || (tiles >= 512 && direction == Direction::backward_weight);
  return large && p.groups == 1 && p.weight[2] == 3 && p.weight[3] == 3 && p.stride == Size2(1) &&
         p.dilation == Size2(1) && native_block() == 16;
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

// The algorithm of Winograd keeps its transformed tensors: half the batch at a time where that saves much memory and
// leaves enough tiles for the transformation of the weights not to matter.
Choice choose_winograd(const PlanKey& key, LayoutPair layouts) {
  constexpr int64_t most_scratch = int64_t{48} << 20, least_tiles = 256;
  Choice whole{describe_primitive(key, layouts), layouts};
  if (!whole.desc || key.direction == Direction::backward_weight || key.problem.input[0] % 2 != 0) return whole;
  const auto scratch = [](const PrimitiveDesc& desc) {
    return bytes_of(*dnnl_primitive_desc_query_md(desc.get(), dnnl_query_scratchpad_md, 0));
  };
  if (scratch(whole.desc) <= most_scratch || winograd_tiles(key.problem) < 2 * least_tiles) return whole;
  PlanKey half = key;
  half.problem.input[0] /= 2;
  half.problem.output[0] /= 2;
  PrimitiveDesc desc = describe_primitive(half, layouts);
  if (!desc) return whole;
  return {std::move(desc), layouts, 2};
}

}  // namespace

// Whether the two layouts of the shape are the same order of elements.
bool same_order(Layout a, Layout b, const Shape& nchw) {
  const auto flat = [&](Layout layout) {
    const bool one_order = nchw[2] * nchw[3] == 1 || (nchw[1] == 1 && layout <= Layout::channels_last);
    return one_order ? Layout::channels_last : layout;
  };
  return flat(a) == flat(b);
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

// The primitive in the preferred layouts when it is usable, else in others; gemm in the plain layout takes anything.
Choice choose_primitive(PlanKey key) {
  const LayoutPair preferred = working_layouts(key.problem, key.x, key.direction);
  if (key.winograd && suits_winograd(key.problem, key.direction) && preferred.x == Layout::blocked16) {
    Choice choice = choose_winograd(key, preferred);
    if (choice.desc) return choice;
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

}  // namespace dnn::cpu::conv_onednn
