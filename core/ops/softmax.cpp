// Softmax and its logarithm.
#include "dnn/ops/softmax.h"

#include "core/autocast.h"
#include "core/check.h"
#include "core/kernels/reduce.h"
#include "core/node.h"
#include "core/ops/fusion.h"

namespace dnn {

namespace {

Tensor normalised(const char* name, const Tensor& input, int64_t dim, bool logarithm) {
  detail::check_defined(name, {{"input", &input}});
  detail::check_floating(name, "input", input);
  const int64_t along = detail::check_dim(name, dim, input.rank());
  kernel::ReduceShape sizes;
  for (int64_t d = 0; d < input.rank(); ++d)
    (d < along ? sizes.outer : d == along ? sizes.n : sizes.inner) *= input.shape()[d];
  const Tensor x = detail::widened(input).contiguous();
  detail::make_plain(x);
  Tensor y = detail::allocate(x.shape(), x.dtype(), x.device());
  kernel::softmax_forward[x.device()](x, sizes, logarithm, y);
  detail::record(name, y, {x}, [sizes, logarithm, y = detail::Saved(y)](detail::Backward& b) {
    const auto [out, accumulate] = b.into(0);
    kernel::softmax_backward[out.device()](detail::plain(b.grad()), detail::plain(b.get(y)), sizes, logarithm, out,
                                           accumulate);
  });
  return y;
}

}  // namespace

Tensor softmax(const Tensor& x, int64_t dim) { return normalised("softmax", x, dim, false); }
Tensor log_softmax(const Tensor& x, int64_t dim) { return normalised("log_softmax", x, dim, true); }

}  // namespace dnn
