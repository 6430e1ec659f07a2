// Joining tensors. The views stand in core/views.cpp, compositions in rearrange.cpp.
#include "dnn/ops/shape.h"

#include <algorithm>

#include "core/autocast.h"
#include "core/check.h"
#include "core/kernels/copy.h"
#include "core/node.h"

namespace dnn {

using detail::Layout;

namespace {

// What is to be joined: shapes that differ in dimension `dim` alone, and where each begins in the result.
struct Parts {
  std::vector<Shape> shapes;
  std::vector<int64_t> starts{0};
  int64_t dim = 0;
};

// Whether images in that layout can be joined as they lie: along the batch, or by whole blocks of channels.
bool joins_in(Layout layout, const Parts& parts) {
  const int64_t block = layout == Layout::blocked8 ? 8 : layout == Layout::blocked16 ? 16 : 1;
  bool fits = layout != Layout::plain && parts.dim <= 1;
  for (const Shape& shape : parts.shapes) fits = fits && shape.rank() == 4 && shape[1] % block == 0;
  return fits;
}

// Elements [start, start + inner) of rows `step` apart in the memory of an image, whatever its layout.
Tensor rows_of(const Tensor& t, int64_t outer, int64_t inner, int64_t step, int64_t start) {
  auto impl = std::make_shared<detail::TensorImpl>();
  impl->storage = detail::Access::impl(t).storage;
  impl->shape = {outer, inner};
  impl->strides = {step, 1};
  impl->offset = detail::Access::impl(t).offset + start;
  impl->numel = outer * inner;
  impl->dtype = t.dtype();
  impl->contiguous = inner == step;
  return detail::Access::wrap(std::move(impl));
}

// Calls move(rows of part i, its rows in the whole): their memory as matrices of one shape.
template <class Move>
void with_rows(const Parts& parts, Layout layout, const Tensor& whole, size_t i, const Tensor& part, Move&& move) {
  const Shape& shape = parts.shapes[i];
  const int64_t outer = parts.dim == 0                    ? 1
                        : layout == Layout::channels_last ? shape[0] * shape[2] * shape[3]
                                                          : shape[0];
  if (part.numel() == 0) return;
  const int64_t inner = part.numel() / outer, step = whole.numel() / outer;
  const int64_t start = inner / shape[parts.dim] * parts.starts[i];
  move(rows_of(part, outer, inner, inner, 0), rows_of(whole, outer, inner, step, start));
}

Parts check_parts(const std::vector<Tensor>& tensors, int64_t dim) {
  if (tensors.empty()) throw ArgumentError("cat: the list is empty, expected at least one tensor");
  for (const Tensor& t : tensors) detail::check_defined("cat", {{"a tensor", &t}});
  const Tensor& first = tensors.front();
  if (first.rank() == 0) throw ShapeError("cat: a tensor is a scalar, expected a dimension to join along");
  Parts parts;
  parts.dim = detail::check_dim("cat", dim, first.rank());
  for (const Tensor& t : tensors) {
    detail::check_same_device("cat", {{"first tensor", &first}, {"tensor", &t}});
    detail::check_same_dtype("cat", {{"first tensor", &first}, {"tensor", &t}});
    Shape expected = t.shape();
    if (expected.rank() == first.rank()) expected[parts.dim] = first.shape()[parts.dim];
    if (expected != first.shape())
      throw ShapeError(
          fmt::format("cat: tensor {} has shape {}, expected that of the first, {}, except in dimension {}",
                      parts.shapes.size(), t.shape(), first.shape(), parts.dim));
    parts.shapes.push_back(t.shape());
    parts.starts.push_back(parts.starts.back() + t.shape()[parts.dim]);
  }
  return parts;
}

}  // namespace

Tensor cat(const std::vector<Tensor>& tensors, int64_t dim) {
  const auto is_float32 = [](const Tensor& t) { return t.defined() && t.dtype() == DType::float32; };
  if (detail::autocasts() && std::any_of(tensors.begin(), tensors.end(), is_float32)) {
    std::vector<Tensor> wide;
    for (const Tensor& t : tensors) wide.push_back(detail::widened(t));
    const detail::AutocastOff off;
    return cat(wide, dim);
  }
  const Parts parts = check_parts(tensors, dim);
  const Tensor& first = tensors.front();
  Shape shape = first.shape();
  shape[parts.dim] = parts.starts.back();
  Tensor out = detail::allocate(shape, first.dtype(), first.device());
  // The layout of the first that has one serves all.
  Layout layout = Layout::plain;
  for (const Tensor& t : tensors)
    if (layout == Layout::plain && joins_in(detail::layout_of(t), parts)) layout = detail::layout_of(t);
  {
    NoGrad no_grad;
    detail::set_layout(out, layout);
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (layout == Layout::plain) {
        out.slice(parts.dim, parts.starts[i], parts.starts[i + 1]).copy_(tensors[i]);
        continue;
      }
      with_rows(parts, layout, out, i, detail::in_layout(tensors[i].contiguous(), layout),
                [&](const Tensor& part, const Tensor& whole) { kernel::copy[out.device()](part, whole); });
    }
  }
  detail::record("cat", out, std::span<const Tensor>(tensors), [parts](detail::Backward& b) {
    const Layout given = detail::layout_of(b.grad());
    for (size_t i = 0; i < parts.shapes.size(); ++i) {
      if (!b.wants(static_cast<int>(i))) continue;
      if (!joins_in(given, parts)) {
        b.set(static_cast<int>(i), b.grad().slice(parts.dim, parts.starts[i], parts.starts[i + 1]));
        continue;
      }
      const Tensor own = detail::allocate(parts.shapes[i], b.grad().dtype(), b.grad().device());
      detail::set_layout(own, given);
      with_rows(parts, given, b.grad(), i, own,
                [&](const Tensor& part, const Tensor& whole) { kernel::copy[own.device()](whole, part); });
      b.set(static_cast<int>(i), own);
    }
  });
  return out;
}

}  // namespace dnn
