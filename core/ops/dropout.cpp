// Dropout. The mask is never stored: the backward pass draws it again.
#include "dnn/ops/dropout.h"

#include "core/check.h"
#include "core/kernels/norm.h"
#include "core/node.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"

namespace dnn {

namespace {

void check(const char* where, const Tensor& input, const DropoutOptions& options) {
  detail::check_defined(where, {{"input", &input}});
  if (!(options.p >= 0 && options.p <= 1))
    throw ArgumentError(fmt::format("{}: p is {}, expected 0 to 1 (input {})", where, options.p, input.shape()));
  detail::check_floating(where, "input", input);
}

// A number for each channel of each sample, which multiplies all of it.
Tensor drop_channels(const char* where, const Tensor& input, const DropoutOptions& options, int rank) {
  check(where, input, options);
  detail::check_rank(where, "input", input, rank);
  if (!options.training || options.p == 0) return input;
  Shape channels = input.shape();
  for (int64_t d = 2; d < rank; ++d) channels[d] = 1;
  return mul(input, dropout(ones(channels, input.options()), options));
}

}  // namespace

Tensor dropout(const Tensor& input, const DropoutOptions& options) {
  check("dropout", input, options);
  if (!options.training || options.p == 0) return input;
  const Tensor x = input.contiguous();
  Tensor out = detail::allocate_like(x);
  const detail::Draw draw = detail::next_draw();
  kernel::dropout[x.device()](x, options.p, draw, out, false);
  detail::record("dropout", out, {x}, [p = options.p, draw](detail::Backward& b) {
    const auto [out, accumulate] = b.into(0, detail::layout_of(b.grad()));
    kernel::dropout[out.device()](b.grad(), p, draw, out, accumulate);
  });
  return out;
}

Tensor dropout1d(const Tensor& input, const DropoutOptions& options) {
  return drop_channels("dropout1d", input, options, 3);
}

Tensor dropout2d(const Tensor& input, const DropoutOptions& options) {
  return drop_channels("dropout2d", input, options, 4);
}

}  // namespace dnn
