// Views: tensors that share the elements of another one under a different shape. Each records how its gradient finds
// back.
#include <algorithm>

#include "core/check.h"
#include "core/node.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/shape.h"
#include "dnn/tensor.h"

namespace dnn {

using detail::Access;
using detail::Backward;

namespace {

int64_t offset_of(const Tensor& t) { return Access::impl(t).offset; }

// The gradient of a view that picks elements: it goes through the same view into zeros, or onto what is there, so that
// the views of many parts of one tensor cost no more than the tensor.
template <class View>
void scatter(Backward& b, View&& view) {
  const auto [whole, accumulate] = b.into(0);
  Tensor target = whole.detach();
  if (!accumulate) target.zero_();
  Tensor part = view(target);
  if (accumulate)
    part.add_(b.grad());
  else
    part.copy_(b.grad());
}

Shape resolve_sizes(const Tensor& t, const Shape& wanted) {
  Shape shape = wanted;
  int64_t known = 1, inferred = -1;
  for (int64_t d = 0; d < shape.rank(); ++d) {
    if (shape[d] == -1 && inferred < 0)
      inferred = d;
    else if (shape[d] < 0)
      throw ShapeError(fmt::format("reshape: size {} at dimension {}, expected 0 or more, or one -1 ({} to {})",
                                   shape[d], d, t.shape(), wanted));
    else if (__builtin_mul_overflow(known, shape[d], &known))
      throw ShapeError(fmt::format("reshape: the new shape exceeds 64 bits ({} to {})", t.shape(), wanted));
  }
  if (inferred >= 0 && known > 0) shape[inferred] = t.numel() / known;
  if ((inferred >= 0 && known == 0) || shape.numel() != t.numel())
    throw ShapeError(fmt::format("reshape: {} elements do not fill {}, expected a shape of as many ({} to {})",
                                 t.numel(), wanted, t.shape(), wanted));
  return shape;
}

}  // namespace

Tensor Tensor::reshape(const Shape& wanted) const {
  const Shape target = resolve_sizes(*this, wanted);
  if (target == shape()) return *this;
  if (!is_contiguous()) return contiguous().reshape(target);
  Tensor view = detail::make_view(*this, target, contiguous_strides(target), offset_of(*this));
  detail::record("reshape", view, {*this}, [from = shape()](Backward& b) { b.set(0, b.grad().reshape(from)); });
  return view;
}

Tensor Tensor::flatten(int64_t start, int64_t end) const {
  const int64_t first = detail::check_dim("flatten", start, rank());
  const int64_t last = detail::check_dim("flatten", end, rank());
  if (first > last)
    throw ArgumentError(
        fmt::format("flatten: start {} lies behind end {}, expected start <= end (shape {})", start, end, shape()));
  Shape target;
  int64_t product = 1;
  for (int64_t d = 0; d < rank(); ++d) {
    if (d >= first && d <= last) product *= shape()[d];
    if (d < first || d > last) target.push_back(shape()[d]);
    if (d == last) target.push_back(product);
  }
  if (rank() == 0) target.push_back(1);
  return reshape(target);
}

Tensor Tensor::transpose(int64_t dim0, int64_t dim1) const {
  const int64_t a = detail::check_dim("transpose", dim0, rank());
  const int64_t b = detail::check_dim("transpose", dim1, rank());
  if (a == b) return *this;
  Shape sizes = shape();
  Strides steps = strides();
  std::swap(sizes[a], sizes[b]);
  std::swap(steps[a], steps[b]);
  Tensor view = detail::make_view(*this, sizes, steps, offset_of(*this));
  detail::record("transpose", view, {*this}, [a, b](Backward& back) { back.set(0, back.grad().transpose(a, b)); });
  return view;
}

Tensor Tensor::permute(const Shape& dims) const {
  Shape sizes, inverse = shape();
  Strides steps;
  std::fill(inverse.begin(), inverse.end(), -1);
  for (int64_t dim : dims) {
    const int64_t d = detail::check_dim("permute", dim, rank());
    if (rank() == 0 || inverse[d] >= 0) break;
    inverse[d] = sizes.rank();
    sizes.push_back(shape()[d]);
    steps.push_back(strides()[d]);
  }
  if (dims.rank() != rank() || sizes.rank() != rank())
    throw IndexError(fmt::format("permute: the order {} does not name each of {} dimensions once (shape {})", dims,
                                 rank(), shape()));
  Tensor view = detail::make_view(*this, sizes, steps, offset_of(*this));
  detail::record("permute", view, {*this}, [inverse](Backward& b) { b.set(0, b.grad().permute(inverse)); });
  return view;
}

Tensor Tensor::t() const {
  detail::check_rank("t", "tensor", *this, 2);
  return transpose(0, 1);
}

Tensor Tensor::slice(int64_t dim, int64_t start, int64_t end, int64_t step) const {
  if (rank() == 0) throw ShapeError("slice: the tensor is a scalar, expected at least one dimension (shape [])");
  const int64_t d = detail::check_dim("slice", dim, rank());
  if (step < 1) throw ArgumentError(fmt::format("slice: step is {}, expected at least 1 (shape {})", step, shape()));
  const int64_t size = shape()[d];
  const auto position = [size](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size); };
  const int64_t first = position(start);
  const int64_t last = std::max(first, position(end));
  Shape sizes = shape();
  Strides steps = strides();
  sizes[d] = last == first ? 0 : (last - first - 1) / step + 1;
  steps[d] *= sizes[d] > 1 ? step : 1;
  Tensor view = detail::make_view(*this, sizes, steps, offset_of(*this) + first * strides()[d]);
  detail::record("slice", view, {*this}, [d, first, last, step](Backward& b) {
    scatter(b, [&](const Tensor& whole) { return whole.slice(d, first, last, step); });
  });
  return view;
}

Tensor Tensor::select(int64_t dim, int64_t index) const {
  if (rank() == 0) throw ShapeError("select: the tensor is a scalar, expected at least one dimension (shape [])");
  const int64_t d = detail::check_dim("select", dim, rank());
  const int64_t size = shape()[d];
  if (index < -size || index >= size)
    throw IndexError(fmt::format("select: index {} is out of range, expected {} <= index < {} (dimension {} of {})",
                                 index, -size, size, d, shape()));
  const int64_t i = index < 0 ? index + size : index;
  Tensor view = detail::make_view(*this, shape().without(d), strides().without(d), offset_of(*this) + i * strides()[d]);
  detail::record("select", view, {*this},
                 [d, i](Backward& b) { scatter(b, [&](const Tensor& whole) { return whole.select(d, i); }); });
  return view;
}

Tensor Tensor::squeeze(int64_t dim) const {
  const int64_t d = detail::check_dim("squeeze", dim, rank());
  if (rank() == 0 || shape()[d] != 1)
    throw ShapeError(fmt::format("squeeze: dimension {} is not of size 1 (shape {})", dim, shape()));
  return select(d, 0);
}

Tensor Tensor::unsqueeze(int64_t dim) const {
  const int64_t d = detail::check_dim("unsqueeze", dim, rank() + 1);
  Tensor view = detail::make_view(*this, shape().with(d, 1), strides().with(d, 1), offset_of(*this));
  detail::record("unsqueeze", view, {*this}, [d](Backward& b) { b.set(0, b.grad().select(d, 0)); });
  return view;
}

Tensor Tensor::expand(const Shape& target) const {
  const int64_t extra = target.rank() - rank();
  bool fits = extra >= 0;
  Strides steps = target;
  for (int64_t d = 0; fits && d < target.rank(); ++d) {
    const bool repeated = d < extra || (shape()[d - extra] == 1 && target[d] != 1);
    fits = target[d] >= 0 && (repeated || shape()[d - extra] == target[d]);
    steps[d] = repeated ? 0 : strides()[d - extra];
  }
  if (!fits)
    throw ShapeError(
        fmt::format("expand: {} does not expand to {}, sizes must be equal or 1 counted from the last "
                    "dimension",
                    shape(), target));
  if (target == shape()) return *this;
  Tensor view = detail::make_view(*this, target, steps, offset_of(*this));
  detail::record("expand", view, {*this}, [](Backward& b) { b.set(0, b.grad()); });
  return view;
}

Tensor diagonal(const Tensor& x, int64_t offset, int64_t dim0, int64_t dim1) {
  detail::check_defined("diagonal", {{"input", &x}});
  const int64_t a = detail::check_dim("diagonal", dim0, x.rank()), b = detail::check_dim("diagonal", dim1, x.rank());
  if (x.rank() < 2 || a == b)
    throw ShapeError(
        fmt::format("diagonal: dimensions {} and {}, expected two different ones (input {})", dim0, dim1, x.shape()));
  const int64_t rows = x.shape()[a], columns = x.shape()[b];
  const int64_t down = std::clamp<int64_t>(offset < 0 ? -offset : 0, 0, rows);
  const int64_t right = std::clamp<int64_t>(offset, 0, columns);
  Shape sizes;
  Strides steps;
  for (int64_t d = 0; d < x.rank(); ++d)
    if (d != a && d != b) sizes.push_back(x.shape()[d]), steps.push_back(x.strides()[d]);
  sizes.push_back(std::min(rows - down, columns - right));
  steps.push_back(x.strides()[a] + x.strides()[b]);
  const int64_t start = sizes.numel() == 0 ? 0 : down * x.strides()[a] + right * x.strides()[b];
  Tensor view = detail::make_view(x, sizes, steps, offset_of(x) + start);
  detail::record("diagonal", view, {x}, [offset, a, b](Backward& back) {
    scatter(back, [&](const Tensor& whole) { return diagonal(whole, offset, a, b); });
  });
  return view;
}

// ---- free forms ----------------------------------------------------------------------------------------------------

Tensor reshape(const Tensor& x, const Shape& shape) { return x.reshape(shape); }
Tensor flatten(const Tensor& x, int64_t start, int64_t end) { return x.flatten(start, end); }
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1) { return x.transpose(dim0, dim1); }
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step) {
  return x.slice(dim, start, end, step);
}
Tensor select(const Tensor& x, int64_t dim, int64_t index) { return x.select(dim, index); }
Tensor expand(const Tensor& x, const Shape& shape) { return x.expand(shape); }
Tensor broadcast_to(const Tensor& x, const Shape& shape) { return x.expand(shape); }
Tensor permute(const Tensor& x, const Shape& dims) { return x.permute(dims); }
Tensor squeeze(const Tensor& x, int64_t dim) { return x.squeeze(dim); }
Tensor unsqueeze(const Tensor& x, int64_t dim) { return x.unsqueeze(dim); }

}  // namespace dnn
