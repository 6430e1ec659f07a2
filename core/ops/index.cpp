// Reading and writing at indices. Every case is brought to rows along the middle of [outer, n, inner].
#include "dnn/ops/index.h"

#include "core/check.h"
#include "core/kernels/copy.h"
#include "core/kernels/index.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/shape.h"
#include "dnn/ops/sort.h"

namespace dnn {

using detail::Backward;
using detail::Saved;
using kernel::IndexShape;
using kernel::Scatter;

namespace {

// The indices as the kernels read them.
Tensor indices_of(const char* where, const Tensor& index) {
  NoGrad no_grad;
  if (index.dtype() != DType::int64 && index.dtype() != DType::int32)
    throw DTypeError(
        fmt::format("{}: index is {}, expected int64 or int32 (index {})", where, index.dtype(), index.shape()));
  return detail::plain(index.to(DType::int64));
}

// x [outer, n, inner] around a dimension; m indices.
IndexShape rows_of(const char* where, const Shape& x, int64_t dim, int64_t m, bool shared) {
  IndexShape shape{.name = where, .m = m, .shared = shared};
  if (x.rank() > 0) shape.n = x[dim];
  for (int64_t d = 0; d < x.rank(); ++d)
    if (d != dim) (d < dim ? shape.outer : shape.inner) *= x[d];
  return shape;
}

void run_gather(const Tensor& x, const Tensor& index, const IndexShape& shape, const Tensor& out) {
  NoGrad no_grad;
  if (out.numel() > 0) kernel::gather[out.device()](detail::plain(x), index, shape, out);
}

void run_scatter(const Tensor& source, const Tensor& index, const IndexShape& shape, Scatter how, const Tensor& out) {
  NoGrad no_grad;
  if (source.numel() > 0) kernel::scatter[out.device()](detail::plain(source), index, shape, how, out);
}

// The gradient of a gather: what was picked is added back.
void return_gradient(Backward& b, const Tensor& index, const IndexShape& shape) {
  auto [out, accumulate] = b.into(0);
  if (!accumulate) kernel::fill[out.device()](out, 0);
  run_scatter(b.grad(), index, shape, Scatter::add, out);
}

Tensor picked(const char* where, const Tensor& x, const Tensor& index, const IndexShape& shape, const Shape& result) {
  Tensor out = detail::allocate(result, x.dtype(), x.device());
  run_gather(x, index, shape, out);
  detail::record(where, out, {x},
                 [index = Saved(index), shape](Backward& b) { return_gradient(b, b.get(index), shape); });
  return out;
}

// What gather and the scatters ask of x (or a source) and an index: one rank, the index no larger but along `dim`.
void check_covers(const char* where, const char* name, const Tensor& x, const Tensor& index, int64_t dim,
                  bool also_along) {
  bool fits = x.rank() == index.rank();
  for (int64_t d = 0; fits && d < x.rank(); ++d) fits = index.shape()[d] <= x.shape()[d] || (d == dim && !also_along);
  if (!fits)
    throw ShapeError(fmt::format("{}: index {} reaches beyond {} {}, expected one no larger{}", where, index.shape(),
                                 name, x.shape(), also_along ? "" : fmt::format(" except in dimension {}", dim)));
}

// The part of x that an index covers, whole along `dim` unless that is -1; a view.
Tensor covered(const Tensor& x, const Shape& index, int64_t dim) {
  Tensor part = x;
  for (int64_t d = 0; d < x.rank(); ++d)
    if (d != dim && index[d] != x.shape()[d]) part = part.slice(d, 0, index[d]);
  return part;
}

struct ScatterArguments {
  int64_t dim;
  Tensor index;
  Tensor source;  // of the index's shape, recorded
  IndexShape shape;
};

ScatterArguments check_scatter(const char* where, const Tensor& x, int64_t dim, const Tensor& index,
                               const Tensor& source) {
  detail::check_defined(where, {{"input", &x}, {"index", &index}, {"source", &source}});
  detail::check_same_device(where, {{"input", &x}, {"index", &index}, {"source", &source}});
  detail::check_same_dtype(where, {{"input", &x}, {"source", &source}});
  const int64_t d = detail::check_dim(where, dim, x.rank());
  check_covers(where, "input", x, index, d, false);
  check_covers(where, "source", source, index, d, true);
  return {
      d, indices_of(where, index), covered(source, index.shape(), -1),
      rows_of(where, covered(x.detach(), index.shape(), d).shape(), d, index.rank() > 0 ? index.shape()[d] : 1, false)};
}

void check_numbers(const char* where, const Tensor& x) {
  if (x.dtype() == DType::boolean)
    throw DTypeError(fmt::format("{}: the input is bool, expected a number type (input {})", where, x.shape()));
}

// Writes into the fresh or foreign `out`, of which the index may cover a part only.
void scatter_into(const Tensor& out, const ScatterArguments& a, Scatter how) {
  NoGrad no_grad;
  detail::make_plain(out);
  Tensor part = covered(out, a.index.shape(), a.dim);
  const Tensor target = part.contiguous();
  run_scatter(a.source, a.index, a.shape, how, target);
  if (!target.is_same(part)) kernel::copy[out.device()](target, part);
}

Tensor copy_of(const Tensor& x) {
  NoGrad no_grad;
  Tensor out = x.clone();
  detail::make_plain(out);
  return out;
}

void scatter_in_place(const char* where, const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source,
                      Scatter how) {
  const ScatterArguments a = check_scatter(where, x, dim, index, source);
  if (how == Scatter::add) check_numbers(where, x);
  detail::check_in_place(where, x);
  if (grad_enabled() && source.requires_grad())
    throw AutogradError(
        fmt::format("{}: the source requires a gradient, which an in-place operation does not record; "
                    "expected an operation that is not in place, or NoGrad (source {})",
                    where, source.shape()));
  ScatterArguments own = a;
  if (detail::Access::impl(source).storage == detail::Access::impl(x).storage) own.source = copy_of(a.source);
  scatter_into(x, own, how);
  detail::bump_version(x);
}

}  // namespace

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  detail::check_defined("index_select", {{"input", &x}, {"index", &index}});
  detail::check_same_device("index_select", {{"input", &x}, {"index", &index}});
  detail::check_rank("index_select", "index", index, 1);
  if (x.rank() == 0)
    throw ShapeError("index_select: the input is a scalar, expected at least one dimension (input [])");
  const int64_t d = detail::check_dim("index_select", dim, x.rank());
  Shape result = x.shape();
  result[d] = index.numel();
  return picked("index_select", x, indices_of("index_select", index),
                rows_of("index_select", x.shape(), d, index.numel(), true), result);
}

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  detail::check_defined("gather", {{"input", &x}, {"index", &index}});
  detail::check_same_device("gather", {{"input", &x}, {"index", &index}});
  const int64_t d = detail::check_dim("gather", dim, x.rank());
  check_covers("gather", "input", x, index, d, false);
  const Tensor part = covered(x, index.shape(), d);
  return picked("gather", part, indices_of("gather", index),
                rows_of("gather", part.shape(), d, index.rank() > 0 ? index.shape()[d] : 1, false), index.shape());
}

Tensor take(const Tensor& x, const Tensor& index) {
  detail::check_defined("take", {{"input", &x}, {"index", &index}});
  detail::check_same_device("take", {{"input", &x}, {"index", &index}});
  const Tensor flat = x.reshape({-1});
  return picked("take", flat, indices_of("take", index), rows_of("take", flat.shape(), 0, index.numel(), true),
                index.shape());
}

Tensor dynamic_slice(const Tensor& x, const std::function<int64_t()>& start, int64_t size) {
  detail::check_defined("dynamic_slice", {{"input", &x}});
  if (!start) throw ArgumentError("dynamic_slice: start is an empty function");
  if (x.rank() == 0)
    throw ShapeError("dynamic_slice: the input is a scalar, expected at least one dimension (input [])");
  if (size < 0 || size > x.shape()[0])
    throw ShapeError(
        fmt::format("dynamic_slice: size is {}, expected 0 to {} (input {})", size, x.shape()[0], x.shape()));
  Shape shape = x.shape();
  shape[0] = size;
  const Tensor out = detail::allocate(shape, x.dtype(), x.device());
  if (out.numel() > 0) kernel::dynamic_slice[x.device()](detail::plain(x.detach().contiguous()), {start}, out);
  return out;
}

Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  const ScatterArguments a = check_scatter("scatter_add", x, dim, index, source);
  check_numbers("scatter_add", x);
  Tensor out = copy_of(x);
  scatter_into(out, a, Scatter::add);
  detail::record("scatter_add", out, {x, a.source}, [index = Saved(a.index), d = a.dim](Backward& b) {
    if (b.wants(0)) b.set(0, b.grad());
    if (b.wants(1)) b.set(1, gather(b.grad(), d, b.get(index)));
  });
  return out;
}

Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  const ScatterArguments a = check_scatter("scatter", x, dim, index, source);
  Tensor out = copy_of(x);
  scatter_into(out, a, Scatter::write);
  detail::record("scatter", out, {x, a.source}, [index = Saved(a.index), d = a.dim](Backward& b) {
    if (b.wants(0)) {
      Tensor kept = copy_of(b.grad());
      scatter_(kept, d, b.get(index), 0);
      b.set(0, kept);
    }
    if (b.wants(1)) b.set(1, gather(b.grad(), d, b.get(index)));
  });
  return out;
}

void scatter_add_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  scatter_in_place("scatter_add_", x, dim, index, source, Scatter::add);
}

void scatter_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  scatter_in_place("scatter_", x, dim, index, source, Scatter::write);
}

void scatter_(const Tensor& x, int64_t dim, const Tensor& index, Scalar value) {
  detail::check_defined("scatter_", {{"input", &x}, {"index", &index}});
  scatter_(x, dim, index, full({}, value, x.options()).expand(index.shape()));
}

Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha) {
  const char* const where = "index_add";
  detail::check_defined(where, {{"input", &x}, {"index", &index}, {"source", &source}});
  detail::check_same_device(where, {{"input", &x}, {"index", &index}, {"source", &source}});
  detail::check_same_dtype(where, {{"input", &x}, {"source", &source}});
  check_numbers(where, x);
  detail::check_rank(where, "index", index, 1);
  const int64_t d = detail::check_dim(where, dim, x.rank());
  Shape expected = x.shape();
  if (x.rank() > 0) expected[d] = index.numel();
  if (x.rank() == 0 || source.shape() != expected)
    throw ShapeError(fmt::format("{}: source has shape {}, expected {} (input {}, index {}, dimension {})", where,
                                 source.shape(), expected, x.shape(), index.shape(), d));
  const Tensor scaled = alpha.to_double() == 1 ? source : source * alpha;
  const Tensor positions = indices_of(where, index);
  Tensor out = copy_of(x);
  run_scatter(scaled, positions, rows_of(where, x.shape(), d, index.numel(), true), Scatter::add, out);
  detail::record(where, out, {x, scaled}, [index = Saved(positions), d](Backward& b) {
    if (b.wants(0)) b.set(0, b.grad());
    if (b.wants(1)) b.set(1, index_select(b.grad(), d, b.get(index)));
  });
  return out;
}

Tensor nonzero(const Tensor& x) {
  detail::check_defined("nonzero", {{"input", &x}});
  NoGrad no_grad;
  const Tensor mask = detail::plain(x.to(DType::boolean));
  const Tensor counts = cumsum(mask.reshape({-1}), 0);
  const int64_t count = mask.numel() == 0 ? 0 : static_cast<int64_t>(counts[mask.numel() - 1].item());
  Tensor out = detail::allocate({count, x.rank()}, DType::int64, x.device());
  if (out.numel() > 0) kernel::nonzero[x.device()](mask, counts, out);
  return out;
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  detail::check_defined("masked_select", {{"input", &x}, {"mask", &mask}});
  detail::check_same_device("masked_select", {{"input", &x}, {"mask", &mask}});
  if (mask.dtype() != DType::boolean)
    throw DTypeError(fmt::format("masked_select: mask is {}, expected bool (mask {})", mask.dtype(), mask.shape()));
  const Shape shape = broadcast_shapes(x.shape(), mask.shape(), "masked_select");
  return take(x.expand(shape), nonzero(mask.expand(shape).reshape({-1})).reshape({-1}));
}

}  // namespace dnn
