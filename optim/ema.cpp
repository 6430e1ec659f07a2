// Averaged weights.
#include "dnn/optim/ema.h"

#include <fmt/format.h>

#include "dnn/autograd.h"
#include "dnn/error.h"

namespace dnn {

Ema::Ema(const StateDict& tensors, const EmaOptions& options) : decay_(options.decay) {
  if (!(decay_ >= 0 && decay_ < 1))
    throw ArgumentError(fmt::format("Ema: decay is {}, expected a number in [0, 1)", decay_));
  NoGrad no_grad;
  for (const auto& [name, tensor] : tensors) {
    tensors_.insert(name, tensor.detach());
    averages_.insert(name, tensor.detach().clone());
  }
}

void Ema::update() {
  NoGrad no_grad;
  for (const auto& [name, tensor] : tensors_) {
    Tensor average = averages_.at(name);
    if (is_floating(tensor.dtype()))
      average.mul_(decay_).add_(tensor, 1 - decay_);
    else
      average.copy_(tensor);
  }
}

void Ema::swap() {
  NoGrad no_grad;
  for (const auto& [name, kept] : tensors_) {
    Tensor tensor = kept, average = averages_.at(name);
    const Tensor before = tensor.clone();
    tensor.copy_(average);
    average.copy_(before);
  }
}

void Ema::load_state_dict(const StateDict& state) {
  for (const auto& [name, average] : averages_) {
    const Tensor* loaded = state.find(name);
    if (loaded == nullptr) throw ArgumentError(fmt::format("Ema: the state has no '{}'", name));
    if (loaded->shape() != average.shape())
      throw ArgumentError(fmt::format("Ema: '{}' of the state has shape {}, expected {}", name, loaded->shape().str(),
                                      average.shape().str()));
  }
  for (const auto& [name, tensor] : state)
    if (!averages_.contains(name)) throw ArgumentError(fmt::format("Ema: '{}' of the state is unexpected", name));
  NoGrad no_grad;
  for (const auto& [name, kept] : averages_) {
    Tensor average = kept;
    average.copy_(state.at(name));
  }
}

}  // namespace dnn
