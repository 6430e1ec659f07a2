// Scaling of the loss. The optimizer's own launch takes the factor off and skips the step.
#include "dnn/optim/grad_scaler.h"

#include <fmt/format.h>

#include <cmath>

#include "dnn/autograd.h"
#include "dnn/capture.h"
#include "dnn/error.h"
#include "dnn/ops.h"

namespace dnn {

namespace {

bool is_scale(double value) {
  const auto stored = static_cast<float>(value);
  return stored > 0 && std::isfinite(stored);
}

}  // namespace

GradScaler::GradScaler(const GradScalerOptions& options) : options_(options) {
  const auto check = [](const char* name, double value, bool ok, const char* expected) {
    if (!ok) throw ArgumentError(fmt::format("grad_scaler: {} is {}, expected {}", name, value, expected));
  };
  check("initial_scale", options.initial_scale, is_scale(options.initial_scale), "a positive number of float32");
  check("growth", options.growth, options.growth > 1 && std::isfinite(options.growth), "a number above 1");
  check("backoff", options.backoff, options.backoff > 0 && options.backoff < 1, "a number between 0 and 1");
  check("interval", static_cast<double>(options.interval), options.interval >= 1 && options.interval <= INT32_MAX,
        "1 to 2147483647");
  scale_ = full({}, options.initial_scale, {.dtype = DType::float32});
  streak_ = zeros({}, {.dtype = DType::int32});
}

// Factor and count follow the first loss to its device, and a net that moves later.
void GradScaler::place(Device device) {
  used_ = true;
  if (scale_.device() == device) return;
  const NoGrad no_grad;
  const auto move = [device](const Tensor& t) {
    return t.device().is_cpu() || device.is_cpu() ? t.to(device) : t.to(Device::cpu()).to(device);
  };
  scale_ = move(scale_);
  streak_ = move(streak_);
}

Tensor GradScaler::scale(const Tensor& loss) {
  if (!options_.enabled) return loss;
  place(loss.device());
  return loss * scale_;
}

void GradScaler::backward(const Tensor& loss) {
  if (!options_.enabled) return loss.backward();
  place(loss.device());
  if (loss.numel() != 1)
    throw ArgumentError(
        fmt::format("grad_scaler: the loss has {} elements, expected 1 (shape {})", loss.numel(), loss.shape().str()));
  loss.backward(scale_.to(loss.dtype()).reshape(loss.shape()));
}

std::vector<Tensor> GradScaler::gradients_of(const char* where, const Optimizer& optimizer) const {
  if (!used_)
    throw ArgumentError(
        fmt::format("grad_scaler: {} before any loss was scaled, expected scale or backward first", where));
  std::vector<Tensor> gradients;
  for (const Tensor& parameter : optimizer.parameters())
    if (parameter.has_grad()) gradients.push_back(parameter.grad());
  if (gradients.empty())
    throw ArgumentError(
        fmt::format("grad_scaler: {} for parameters without gradients, expected a backward pass before", where));
  return gradients;
}

void GradScaler::reached(const Optimizer& optimizer, const Stage& stage) {
  detail::repeat([this, key = &optimizer, stage] { stages_[key] = stage; },
                 [this, before = stages_] { stages_ = before; });
}

void GradScaler::unscale_(Optimizer& optimizer) {
  if (!options_.enabled) return;
  const auto stage = stages_.find(&optimizer);
  if (stage != stages_.end())
    throw ArgumentError(
        fmt::format("grad_scaler: unscale_ after {} of the same optimizer, expected update between them",
                    stage->second.stepped ? "step" : "unscale_"));
  const NoGrad no_grad;
  gradients_of("unscale_", optimizer);
  for (Tensor parameter : optimizer.parameters())
    if (parameter.has_grad() && parameter.grad().dtype() == DType::float16 && parameter.dtype() == DType::float32)
      parameter.set_grad(parameter.grad().to(DType::float32));
  const std::vector<Tensor> gradients = gradients_of("unscale_", optimizer);
  const GradientMeasures found = measure_gradients(gradients, {.scale = scale_});
  scale_gradients_(gradients, found.factor);
  reached(optimizer, {found.non_finite, false});
}

void GradScaler::step(Optimizer& optimizer, const ScaledStepOptions& options) {
  if (!(options.clip_norm >= 0))
    throw ArgumentError(
        fmt::format("grad_scaler: clip_norm is {}, expected a positive number, or 0 for none", options.clip_norm));
  const NoGrad no_grad;
  if (!options_.enabled) {
    StepControl control;
    if (options.clip_norm > 0) {
      std::vector<Tensor> gradients;
      for (const Tensor& parameter : optimizer.parameters())
        if (parameter.has_grad()) gradients.push_back(parameter.grad());
      if (!gradients.empty()) control.factor = measure_gradients(gradients, {.max_norm = options.clip_norm}).factor;
    }
    return optimizer.step(control);
  }
  const auto stage = stages_.find(&optimizer);
  if (stage == stages_.end()) {
    const GradientMeasures found =
        measure_gradients(gradients_of("step", optimizer), {.max_norm = options.clip_norm, .scale = scale_});
    optimizer.step({.factor = found.factor, .skip = found.non_finite});
    return reached(optimizer, {found.non_finite, true});
  }
  if (stage->second.stepped)
    throw ArgumentError("grad_scaler: step after step of the same optimizer, expected update between them");
  if (options.clip_norm > 0)
    throw ArgumentError(fmt::format(
        "grad_scaler: clip_norm is {} after unscale_, expected clip_grad_norm_ between the two", options.clip_norm));
  const Tensor non_finite = stage->second.non_finite;
  optimizer.step({.skip = non_finite});
  reached(optimizer, {non_finite, true});
}

void GradScaler::update() {
  if (!options_.enabled) return;
  const NoGrad no_grad;
  Tensor non_finite;
  for (const auto& [optimizer, stage] : stages_) {
    const Tensor flag = stage.non_finite.to(scale_.device());
    non_finite = non_finite.defined() ? maximum(non_finite, flag) : flag;
  }
  if (!non_finite.defined()) throw ArgumentError("grad_scaler: update without a step before it, expected one");
  update_loss_scale_(scale_, streak_, non_finite,
                     {.growth = options_.growth, .backoff = options_.backoff, .interval = options_.interval});
  detail::repeat([this] { stages_.clear(); }, [this, before = stages_] { stages_ = before; });
}

double GradScaler::factor() const { return options_.enabled ? scale_.item() : 1; }

StateDict GradScaler::state_dict() const { return {{"scale", scale_}, {"streak", streak_}}; }

void GradScaler::load_state_dict(const StateDict& state) {
  const auto take = [&](const char* name) {
    const Tensor* tensor = state.find(name);
    if (tensor == nullptr) throw ArgumentError(fmt::format("grad_scaler: the state has no '{}'", name));
    if (tensor->rank() != 0)
      throw ArgumentError(
          fmt::format("grad_scaler: '{}' of the state has shape {}, expected []", name, tensor->shape().str()));
    return tensor->item();
  };
  const double scale = take("scale"), streak = take("streak");
  if (!is_scale(scale))
    throw ArgumentError(
        fmt::format("grad_scaler: the scale of the state is {}, expected a positive number of float32", scale));
  if (!(streak >= 0 && streak < INT32_MAX))
    throw ArgumentError(fmt::format("grad_scaler: the streak of the state is {}, expected a count", streak));
  const NoGrad no_grad;
  scale_.fill_(scale);
  streak_.fill_(static_cast<int64_t>(streak));
  stages_.clear();
}

}  // namespace dnn
