// Losses.
#include "dnn/ops/loss.h"

#include "core/check.h"
#include "core/kernels/reduce.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "dnn/ops/reduce.h"

namespace dnn {

using detail::Backward;
using detail::Saved;

namespace {

Tensor reduced(const Tensor& losses, Reduction reduction) {
  if (reduction == Reduction::none) return losses;
  return reduction == Reduction::mean ? mean(losses) : sum(losses);
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& labels, const LossOptions& options) {
  detail::check_defined("cross_entropy", {{"logits", &logits}, {"labels", &labels}});
  detail::check_same_device("cross_entropy", {{"logits", &logits}, {"labels", &labels}});
  detail::check_floating("cross_entropy", "logits", logits);
  if (logits.rank() != 2 || labels.rank() != 1 || logits.size(0) != labels.size(0))
    throw ShapeError(fmt::format("cross_entropy: expected logits [n, classes] and labels [n] (logits {}, labels {})",
                                 logits.shape(), labels.shape()));
  if (labels.dtype() != DType::int64 && labels.dtype() != DType::int32)
    throw DTypeError(fmt::format("cross_entropy: labels are {}, expected int64 or int32 (labels {})", labels.dtype(),
                                 labels.shape()));
  if (logits.size(1) == 0)
    throw ShapeError(fmt::format("cross_entropy: logits have no classes, expected at least one (logits {})",
                                 logits.shape()));
  const int64_t n = logits.size(0);
  const Device device = logits.device();
  const Tensor x = detail::plain(logits);
  const Tensor targets = detail::plain(labels);
  Tensor losses = detail::allocate({n}, x.dtype(), device);
  const DType wide = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  Tensor log_sums = detail::allocate({n}, wide, device);
  kernel::cross_entropy_forward[device](x, targets, losses, log_sums);
  Tensor out;
  {
    NoGrad no_grad;
    out = reduced(losses, options.reduction);
  }
  const double scale = options.reduction == Reduction::mean ? 1.0 / static_cast<double>(n) : 1.0;
  detail::record("cross_entropy", out, {logits}, [x = Saved(x), targets = Saved(targets), log_sums, scale](Backward& b) {
    const auto [out, accumulate] = b.into(0);
    const Tensor grad = detail::plain(b.grad()).reshape({-1});
    kernel::cross_entropy_backward[out.device()](grad, scale, b.get(x), b.get(targets), log_sums, out, accumulate);
  });
  return out;
}

Tensor mse_loss(const Tensor& input, const Tensor& target, const LossOptions& options) {
  detail::check_defined("mse_loss", {{"input", &input}, {"target", &target}});
  detail::check_same_device("mse_loss", {{"input", &input}, {"target", &target}});
  detail::check_floating("mse_loss", "input", input);
  if (input.shape() != target.shape())
    throw ShapeError(fmt::format("mse_loss: input {} and target {} differ, expected one shape", input.shape(),
                                 target.shape()));
  return reduced(square(input - target), options.reduction);
}

}  // namespace dnn
