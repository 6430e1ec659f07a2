// Rows of a table by their numbers, on the kernels of gather and scatter.
#include "dnn/ops/embedding.h"

#include "core/check.h"
#include "core/kernels/copy.h"
#include "core/kernels/index.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"

namespace dnn {

using kernel::IndexShape;

namespace {

// Rows whose index is `padding` become zero: [m, features] and indices [m].
Tensor without_padding(const Tensor& rows, const Tensor& index, int64_t padding, int64_t count) {
  Tensor keep = ones({count, 1}, rows.options());
  keep.slice(0, padding, padding + 1).zero_();
  Tensor factors = detail::allocate({index.numel(), 1}, rows.dtype(), rows.device());
  const IndexShape shape{.name = "embedding", .n = count, .m = index.numel(), .shared = true};
  kernel::gather[rows.device()](keep, index, shape, factors);
  return mul(rows, factors);
}

}  // namespace

Tensor embedding(const Tensor& index, const Tensor& weight, const EmbeddingOptions& options) {
  detail::check_defined("embedding", {{"index", &index}, {"weight", &weight}});
  detail::check_same_device("embedding", {{"index", &index}, {"weight", &weight}});
  detail::check_floating("embedding", "weight", weight);
  detail::check_rank("embedding", "weight", weight, 2);
  if (index.dtype() != DType::int64 && index.dtype() != DType::int32)
    throw DTypeError(
        fmt::format("embedding: index is {}, expected int64 or int32 (index {})", index.dtype(), index.shape()));
  const int64_t count = weight.size(0), features = weight.size(1);
  std::optional<int64_t> padding = options.padding_idx;
  if (padding && (*padding < -count || *padding >= count))
    throw IndexError(fmt::format("embedding: padding_idx is {}, expected {} <= padding_idx < {} (weight {})", *padding,
                                 -count, count, weight.shape()));
  if (padding && *padding < 0) *padding += count;

  Shape result = index.shape();
  result.push_back(features);
  Tensor out = detail::allocate(result, weight.dtype(), weight.device());
  const IndexShape shape{.name = "embedding", .n = count, .m = index.numel(), .inner = features, .shared = true};
  Tensor rows;  // [m]
  {
    NoGrad no_grad;
    rows = detail::plain(index.to(DType::int64)).reshape({index.numel()});
    if (out.numel() > 0) kernel::gather[out.device()](detail::plain(weight), rows, shape, out);
  }
  detail::record("embedding", out, {weight}, [rows = detail::Saved(rows), shape, padding](detail::Backward& b) {
    const Tensor index = b.get(rows);
    auto [out, accumulate] = b.into(0);
    if (!accumulate) kernel::fill[out.device()](out, 0);
    if (b.grad().numel() == 0) return;
    Tensor grad = detail::plain(b.grad()).reshape({shape.m, shape.inner});
    if (padding) grad = without_padding(grad, index, *padding, shape.n);
    kernel::scatter[out.device()](grad, index, shape, kernel::Scatter::add, out);
  });
  return out;
}

}  // namespace dnn
