// Sums and extrema, and the plan that all reductions share.
#include "dnn/ops/reduce.h"

#include "core/autocast.h"
#include "core/ops/reduction.h"
#include "dnn/ops/binary.h"

namespace dnn {

using detail::Backward;
using detail::Saved;
using Plan = detail::ReductionPlan;

namespace detail {

ReductionPlan plan_reduction(const char* where, const Tensor& x, const Shape& dims, bool keepdim) {
  check_defined(where, {{"input", &x}});
  ReductionPlan p;
  for (int64_t dim : dims) {
    const int64_t d = check_dim(where, dim, x.rank());
    if (p.reduced[static_cast<size_t>(d)])
      throw IndexError(fmt::format("{}: dimension {} is named twice, expected each once (dims {}, shape {})", where, d,
                                   dims, x.shape()));
    p.reduced[static_cast<size_t>(d)] = true;
  }
  if (dims.empty()) p.reduced.fill(true);

  int groups = 0;
  for (int64_t d = 0; d < x.rank(); ++d) {
    const bool reduced = p.reduced[static_cast<size_t>(d)];
    const int64_t size = x.shape()[d];
    p.kept.push_back(reduced ? 1 : size);
    if (!reduced || keepdim) p.result.push_back(p.kept[d]);
    if (reduced && (d == 0 || !p.reduced[static_cast<size_t>(d - 1)])) ++groups;
    if (reduced)
      p.sizes.n *= size;
    else
      (groups == 0 ? p.sizes.outer : p.sizes.inner) *= size;
  }
  p.neighbours = groups <= 1;
  if (!p.neighbours) p.sizes.outer *= std::exchange(p.sizes.inner, 1);
  return p;
}

Tensor arranged(const Tensor& x, const ReductionPlan& p) {
  NoGrad no_grad;
  Tensor source = x;
  if (!p.neighbours) {
    Shape sizes;
    Strides steps;
    for (bool reduced : {false, true})
      for (int64_t d = 0; d < x.rank(); ++d)
        if (p.reduced[static_cast<size_t>(d)] == reduced)
          sizes.push_back(x.shape()[d]), steps.push_back(x.strides()[d]);
    source = make_view(x, sizes, steps, Access::impl(x).offset);
  }
  source = source.contiguous();
  make_plain(source);
  return source;
}

Tensor allocate_arranged(const Shape& x, const ReductionPlan& p, DType dtype, Device device) {
  if (p.neighbours) return allocate(x, dtype, device);
  Shape sizes;
  for (bool reduced : {false, true})
    for (int64_t d = 0; d < x.rank(); ++d)
      if (p.reduced[static_cast<size_t>(d)] == reduced) sizes.push_back(x[d]);
  return allocate(sizes, dtype, device);
}

Tensor in_order_of(const Shape& x, const ReductionPlan& p, const Tensor& arranged) {
  if (p.neighbours) return arranged;
  Strides steps = x;
  int64_t position = 0;
  for (bool reduced : {false, true})
    for (int64_t d = 0; d < x.rank(); ++d)
      if (p.reduced[static_cast<size_t>(d)] == reduced) steps[d] = arranged.strides()[position++];
  return make_view(arranged, x, steps, 0);
}

}  // namespace detail

namespace {

Plan plan(const char* where, const Tensor& x, const ReduceOptions& options) {
  return detail::plan_reduction(where, x, options.dims, options.keepdim);
}

void record_sum(const char* name, const Tensor& out, const Tensor& x, const Plan& p, double scale) {
  detail::record(name, out, {x}, [kept = p.kept, shape = x.shape(), scale](Backward& b) {
    const Tensor grad = b.grad().reshape(kept);
    b.set(0, (scale == 1 ? grad : grad * scale).expand(shape));
  });
}

ValuesAndIndices extremum(const char* name, kernel::Extremum which, const Tensor& x, const ReduceOptions& options,
                          bool with_indices) {
  const Plan p = plan(name, x, options);
  if (p.sizes.n == 0)
    throw ShapeError(fmt::format("{}: no elements to choose from, expected a dimension that is not empty (shape {})",
                                 name, x.shape()));
  if (x.dtype() == DType::boolean)
    throw DTypeError(fmt::format("{}: the input is bool, expected a number type (shape {})", name, x.shape()));
  Tensor values = detail::allocate(p.result, x.dtype(), x.device());
  Tensor indices;
  if (with_indices || detail::needs_grad({&x, 1})) indices = detail::allocate(p.result, DType::int64, x.device());
  kernel::reduce_extremum[x.device()](arranged(x, p), p.sizes, which, values, indices);
  detail::record(name, values, {x}, [p, indices = Saved(indices), shape = x.shape()](Backward& b) {
    Tensor whole = detail::allocate_arranged(shape, p, b.grad().dtype(), b.grad().device());
    detail::make_plain(b.grad());
    kernel::reduce_extremum_backward[whole.device()](b.grad(), b.get(indices), p.sizes, whole);
    b.set(0, detail::in_order_of(shape, p, whole));
  });
  return {values, indices};
}

Tensor position(const char* name, kernel::Extremum which, const Tensor& x, int64_t dim, bool keepdim) {
  const Plan p = plan(name, x, {.dims = {dim}, .keepdim = keepdim});
  if (p.sizes.n == 0)
    throw ShapeError(
        fmt::format("{}: dimension {} is empty, expected at least one element (shape {})", name, dim, x.shape()));
  if (x.dtype() == DType::boolean)
    throw DTypeError(fmt::format("{}: the input is bool, expected a number type (shape {})", name, x.shape()));
  Tensor indices = detail::allocate(p.result, DType::int64, x.device());
  kernel::reduce_extremum[x.device()](arranged(x, p), p.sizes, which, {}, indices);
  return indices;
}

}  // namespace

Tensor sum(const Tensor& input, const ReduceOptions& options) {
  const Tensor x = detail::widened(input);
  const Plan p = plan("sum", x, options);
  Tensor out = detail::allocate(p.result, is_floating(x.dtype()) ? x.dtype() : DType::int64, x.device());
  kernel::reduce_sum[x.device()](arranged(x, p), p.sizes, 1.0, out, false);
  record_sum("sum", out, x, p, 1.0);
  return out;
}

Tensor mean(const Tensor& x, const ReduceOptions& options) {
  detail::check_floating("mean", "input", x);
  const Plan p = plan("mean", x, options);
  Tensor out = detail::allocate(p.result, x.dtype(), x.device());
  const double scale = 1.0 / static_cast<double>(p.sizes.n);  // an empty mean is 0 / 0 = NaN, as in PyTorch
  kernel::reduce_sum[x.device()](arranged(x, p), p.sizes, scale, out, false);
  record_sum("mean", out, x, p, scale);
  return out;
}

Tensor max(const Tensor& x, const ReduceOptions& options) {
  return extremum("max", kernel::Extremum::max, x, options, false).values;
}

Tensor min(const Tensor& x, const ReduceOptions& options) {
  return extremum("min", kernel::Extremum::min, x, options, false).values;
}

ValuesAndIndices max(const Tensor& x, int64_t dim, bool keepdim) {
  return extremum("max", kernel::Extremum::max, x, {.dims = {dim}, .keepdim = keepdim}, true);
}

ValuesAndIndices min(const Tensor& x, int64_t dim, bool keepdim) {
  return extremum("min", kernel::Extremum::min, x, {.dims = {dim}, .keepdim = keepdim}, true);
}

Tensor argmax(const Tensor& x, int64_t dim, bool keepdim) {
  return position("argmax", kernel::Extremum::max, x, dim, keepdim);
}

Tensor argmin(const Tensor& x, int64_t dim, bool keepdim) {
  return position("argmin", kernel::Extremum::min, x, dim, keepdim);
}

Tensor argmax(const Tensor& x) { return argmax(x.detach().reshape({-1}), 0); }
Tensor argmin(const Tensor& x) { return argmin(x.detach().reshape({-1}), 0); }

}  // namespace dnn
