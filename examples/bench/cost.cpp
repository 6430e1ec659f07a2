// The cost, found by running one sample with a hook on every layer.
#include "examples/bench/cost.h"

#include <set>

using namespace dnn;

namespace {

// Multiplications with an addition that a layer spends on its input alone: of the first layer they have no gradient to
// pass on. A recurrent layer passes one back through its states all the same.
int64_t macs_of_input(const Layer& layer, const Shape& input, int64_t macs) {
  if (dynamic_cast<const RecurrentLayer*>(&layer) == nullptr) return macs;
  int64_t weights = 0;
  for (const auto& [name, tensor] : layer.named_parameters())
    if (name.starts_with("weight_ih_l0")) weights += tensor.numel();
  return input[0] * input[1] * weights;
}

}  // namespace

Cost cost_of(Layer& net, const Workload& work, bool train, int64_t batch) {
  double macs = 0, first_macs = 0, activations = 0, gradients = 0;  // of a sample; elements
  bool first = true;
  std::vector<std::pair<Layer*, int>> hooks;
  for (const auto& [name, module] : net.modules()) {
    auto* const layer = dynamic_cast<Layer*>(module);
    if (layer == nullptr || !layer->children().empty() || dynamic_cast<Sequential*>(layer) != nullptr) continue;
    const auto count = [&](const Layer& l, const Tensor& x, const Tensor& y) {
      // Flatten makes a view; dropout at inference returns what it gets.
      const bool works = x.data<float>() != y.data<float>() || (train && dynamic_cast<const Dropout*>(&l) != nullptr);
      if (!works) return;
      const auto in = static_cast<double>(x.numel()), out = static_cast<double>(y.numel());
      const int64_t own = l.macs(x.shape(), y.shape());
      macs += static_cast<double>(own);
      activations += in + out;
      gradients += out + in + (first ? 0 : in);
      if (first && own > 0) first_macs = static_cast<double>(macs_of_input(l, x.shape(), own));
      first = first && own == 0;
    };
    hooks.emplace_back(layer, layer->register_forward_hook(count));
  }
  {
    const NoGrad no_grad;
    net.eval();
    net(zeros(work.sample.with(0, 1)));
  }
  for (const auto& [layer, hook] : hooks) layer->remove_forward_hook(hook);

  const auto samples = static_cast<double>(batch), parameters = static_cast<double>(net.parameter_count());
  if (!train) return {.flops = 2 * macs * samples, .layer_bytes = 4 * (activations * samples + parameters)};
  const double passes = 1 + 2 + (work.adam ? 7 : 5);  // forward, backward, optimizer
  return {.flops = 2 * (3 * macs - first_macs) * samples,
          .layer_bytes = 4 * ((activations + gradients) * samples + passes * parameters)};
}
