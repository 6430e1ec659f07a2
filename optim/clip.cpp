// Clipping of gradients: by operations alone, so that nothing waits for a device.
#include "dnn/optim/clip.h"

#include <fmt/format.h>

#include <cmath>

#include "dnn/autograd.h"
#include "dnn/error.h"
#include "dnn/ops.h"

namespace dnn {

namespace {

// min(x, limit), NaN staying NaN.
Tensor at_most(const Tensor& x, const Tensor& limit) { return x - relu(x - limit); }

}  // namespace

Tensor clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, const ClipNormOptions& options) {
  if (!(max_norm > 0))
    throw ArgumentError(fmt::format("clip_grad_norm_: max_norm is {}, expected a positive number", max_norm));
  NoGrad no_grad;
  std::vector<Tensor> gradients, parts;
  for (const Tensor& parameter : parameters) {
    if (!parameter.has_grad()) continue;
    gradients.push_back(parameter.grad());
    const Tensor wide =
        gradients.back().dtype() == DType::float64 ? gradients.back() : gradients.back().to(DType::float32);
    if (wide.numel() == 0) continue;
    parts.push_back((options.infinity_norm ? max(abs(wide)) : sum(square(wide))).reshape({1}));
  }
  if (parts.empty()) return zeros({});
  const Device device = parts.front().device();
  for (Tensor& part : parts) part = part.to(device);
  const Tensor norm = options.infinity_norm ? max(cat(parts)) : sqrt(sum(cat(parts)));
  if (options.error_if_nonfinite && !std::isfinite(norm.item()))
    throw ArgumentError(
        fmt::format("clip_grad_norm_: the norm of the gradients is {}, expected a finite number", norm.item()));
  const Tensor factor = at_most(max_norm / (norm + 1e-6), ones({}, norm.options()));
  for (Tensor& gradient : gradients) gradient.mul_(factor.to(gradient.device()).to(gradient.dtype()));
  return norm;
}

void clip_grad_value_(const std::vector<Tensor>& parameters, double limit) {
  if (!(limit > 0))
    throw ArgumentError(fmt::format("clip_grad_value_: the limit is {}, expected a positive number", limit));
  NoGrad no_grad;
  for (const Tensor& parameter : parameters) {
    if (!parameter.has_grad()) continue;
    Tensor gradient = parameter.grad();
    gradient.copy_(clamp(gradient, -limit, limit));
  }
}

}  // namespace dnn
