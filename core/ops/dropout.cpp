// Dropout. The mask is never stored: the backward pass draws it again.
#include "dnn/ops/dropout.h"

#include "core/check.h"
#include "core/kernels/norm.h"
#include "core/node.h"
#include "dnn/random.h"

namespace dnn {

Tensor dropout(const Tensor& input, const DropoutOptions& options) {
  detail::check_defined("dropout", {{"input", &input}});
  if (!(options.p >= 0 && options.p <= 1))
    throw ArgumentError(fmt::format("dropout: p is {}, expected 0 to 1 (input {})", options.p, input.shape()));
  detail::check_floating("dropout", "input", input);
  if (!options.training || options.p == 0) return input;
  const Tensor x = input.contiguous();
  Tensor out = detail::allocate_like(x);
  Generator& generator = default_generator();
  const uint64_t seed = generator.seed(), stream = generator.next_stream();
  kernel::dropout[x.device()](x, options.p, seed, stream, out, false);
  detail::record("dropout", out, {x}, [p = options.p, seed, stream](detail::Backward& b) {
    const auto [out, accumulate] = b.into(0, detail::layout_of(b.grad()));
    kernel::dropout[out.device()](b.grad(), p, seed, stream, out, accumulate);
  });
  return out;
}

}  // namespace dnn
