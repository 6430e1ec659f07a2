// Averaged weights.
#include "dnn/optim/ema.h"

#include <fmt/format.h>

#include <algorithm>

#include "dnn/autograd.h"
#include "dnn/error.h"

namespace dnn {

Ema::Ema(const StateDict& tensors, const EmaOptions& options) : decay_(options.decay) {
  if (!(decay_ >= 0 && decay_ < 1))
    throw ArgumentError(fmt::format("Ema: decay is {}, expected a number in [0, 1)", decay_));
  NoGrad no_grad;
  for (const auto& [name, tensor] : tensors) {
    auto pair = std::find_if(pairs_.begin(), pairs_.end(), [&](const Pair& p) { return p.tensor.is_same(tensor); });
    if (pair == pairs_.end()) pair = pairs_.insert(pair, {tensor, tensor.detach().clone()});
    averages_.insert(name, pair->average);
  }
}

void Ema::update() {
  NoGrad no_grad;
  for (auto& [tensor, average] : pairs_) {
    if (is_floating(tensor.dtype()))
      average.mul_(decay_).add_(tensor, 1 - decay_);
    else
      average.copy_(tensor);
  }
}

void Ema::swap() {
  NoGrad no_grad;
  for (auto& [tensor, average] : pairs_) {
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
