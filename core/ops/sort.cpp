// Order along a dimension: the rows are brought to the end, sorted there, and taken back.
#include "dnn/ops/sort.h"

#include "core/autocast.h"
#include "core/check.h"
#include "core/kernels/sort.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/index.h"

namespace dnn {

using detail::Backward;
using detail::Saved;

namespace {

ValuesAndIndices first_in_order(const char* where, const Tensor& x, int64_t dim, int64_t k, bool descending) {
  const int64_t last = std::max(x.rank() - 1, 0);
  ValuesAndIndices result;
  {
    NoGrad no_grad;
    const Tensor rows = detail::plain(x.rank() > 0 ? x.transpose(dim, last) : x);
    Shape sizes = rows.shape();
    if (x.rank() > 0) sizes[last] = k;
    Tensor values = detail::allocate(sizes, x.dtype(), x.device());
    Tensor indices = detail::allocate(sizes, DType::int64, x.device());
    if (values.numel() > 0) {
      const int64_t n = x.rank() > 0 ? rows.size(last) : 1;
      kernel::sort[x.device()](rows.reshape({rows.numel() / n, n}), descending, values.reshape({rows.numel() / n, k}),
                               indices.reshape({rows.numel() / n, k}));
    }
    if (x.rank() > 0) values = values.transpose(dim, last), indices = indices.transpose(dim, last);
    result = {detail::plain(values), detail::plain(indices)};
  }
  detail::record(where, result.values, {x}, [dim, shape = x.shape(), indices = Saved(result.indices)](Backward& b) {
    Tensor whole = zeros(shape, b.grad().options());
    scatter_(whole, dim, b.get(indices), b.grad());
    b.set(0, whole);
  });
  return result;
}

}  // namespace

ValuesAndIndices sort(const Tensor& x, const SortOptions& options) {
  detail::check_defined("sort", {{"input", &x}});
  const int64_t dim = detail::check_dim("sort", options.dim, x.rank());
  return first_in_order("sort", x, dim, x.rank() > 0 ? x.shape()[dim] : 1, options.descending);
}

Tensor argsort(const Tensor& x, const SortOptions& options) {
  detail::check_defined("argsort", {{"input", &x}});
  detail::check_dim("argsort", options.dim, x.rank());
  NoGrad no_grad;
  return sort(x, options).indices;
}

ValuesAndIndices topk(const Tensor& x, int64_t k, const TopkOptions& options) {
  detail::check_defined("topk", {{"input", &x}});
  const int64_t dim = detail::check_dim("topk", options.dim, x.rank());
  const int64_t n = x.rank() > 0 ? x.shape()[dim] : 1;
  if (k < 0 || k > n || (x.rank() == 0 && k != 1))
    throw ArgumentError(fmt::format("topk: k is {}, expected 0 to {} (input {}, dimension {})", k, n, x.shape(), dim));
  return first_in_order("topk", x, dim, k, options.largest);
}

Tensor cumsum(const Tensor& input, int64_t dim) {
  const Tensor x = detail::widened(input);
  detail::check_defined("cumsum", {{"input", &x}});
  const int64_t d = detail::check_dim("cumsum", dim, x.rank());
  kernel::ReduceShape shape;
  for (int64_t i = 0; i < x.rank(); ++i) (i < d ? shape.outer : i == d ? shape.n : shape.inner) *= x.shape()[i];
  Tensor out = detail::allocate(x.shape(), is_floating(x.dtype()) ? x.dtype() : DType::int64, x.device());
  if (out.numel() > 0) {
    NoGrad no_grad;
    kernel::cumsum[x.device()](detail::plain(x), shape, false, out, false);
  }
  detail::record("cumsum", out, {x}, [shape](Backward& b) {
    const auto [to, accumulate] = b.into(0);
    if (to.numel() > 0) kernel::cumsum[to.device()](detail::plain(b.grad()), shape, true, to, accumulate);
  });
  return out;
}

}  // namespace dnn
