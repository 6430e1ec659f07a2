// The look: a sum with a number in it that is not finite is not finite either. That of large numbers may overflow, so
// then x * 0 decides, which is 0 for a finite x and NaN for any other. The search: the batch goes through the net again
// with a hook on every layer, which also keeps containers from fusing them; hooks are called in the order in which
// layers finish.
#include "dnn/train/stop_on_nan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "dnn/train/trainer.h"
#include "train/precision_scope.h"

namespace dnn {
namespace {

// 0 when all elements are finite, else NaN; [].
Tensor finite_mark(const Tensor& x) { return sum((x.detach() * 0.0).to(DType::float32)); }

bool sum_is_finite(const std::vector<Tensor>& tensors) {
  const NoGrad no_grad;
  std::vector<Tensor> sums;
  for (const Tensor& x : tensors) {
    const Tensor wide = x.dtype() == DType::float64 ? x : x.to(DType::float32);
    sums.push_back(sum(wide.detach()).to(tensors[0].device()).to(DType::float32).reshape({1}));
  }
  return std::isfinite(sum(cat(sums)).item());
}

int64_t count_of_bad(const Tensor& x) {
  const std::vector<double> values = x.detach().to(DType::float64).to_vector<double>();
  return std::count_if(values.begin(), values.end(), [](double value) { return !std::isfinite(value); });
}

bool is_finite(const Tensor& x) { return !is_floating(x.dtype()) || std::isfinite(finite_mark(x).item()); }

std::string facts(const Tensor& x) {
  return fmt::format("{} of {} elements, {}", count_of_bad(x), x.numel(), x.shape().str());
}

std::string name_of(const NamedModule& named) {
  return named.name.empty() ? fmt::format("the net ({})", named.module->type_name())
                            : fmt::format("{} ({})", named.name, named.module->type_name());
}

// The module that owns a parameter, and the parameter's name in it.
std::string owner_of(Module& net, const std::string& parameter) {
  const size_t dot = parameter.rfind('.');
  const std::string path = dot == std::string::npos ? "" : parameter.substr(0, dot);
  for (const NamedModule& named : net.modules())
    if (named.name == path) return fmt::format("{} ({})", parameter, named.module->type_name());
  return parameter;
}

// While it lives, the first layer whose output is not finite is noted.
class Watch {
 public:
  explicit Watch(Module& net) {
    for (const NamedModule& named : net.modules()) {
      auto* layer = dynamic_cast<Layer*>(named.module);
      if (layer == nullptr) continue;
      const int id = layer->register_forward_hook([this, named](const Layer&, const Tensor&, const Tensor& output) {
        if (found_.empty() && !is_finite(output)) found_ = fmt::format("{}: {}", name_of(named), facts(output));
      });
      hooks_.emplace_back(layer, id);
    }
  }
  ~Watch() {
    for (const auto& [layer, id] : hooks_) layer->remove_forward_hook(id);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  const std::string& found() const { return found_; }

 private:
  std::vector<std::pair<Layer*, int>> hooks_;
  std::string found_;
};

}  // namespace

StopOnNaN::StopOnNaN(const StopOnNaNOptions& options) : options_(options) {
  if (options.every < 1)
    throw ArgumentError(fmt::format("stop_on_nan: every is {}, expected at least 1", options.every));
}

void StopOnNaN::on_step_begin(Trainer&) { generator_ = default_generator(); }

bool StopOnNaN::wants_update(const Trainer& trainer) const { return trainer.step() % options_.every == 0; }

void StopOnNaN::on_update(Trainer& trainer, std::span<const Batch> batches, const Tensor& loss) {
  if (!wants_update(trainer)) return;
  std::vector<Tensor> seen{loss};
  if (options_.gradients && !trainer.scaler().options().enabled)
    for (const Tensor& parameter : trainer.optimizer().parameters())
      if (parameter.has_grad()) seen.push_back(parameter.grad());
  if (sum_is_finite(seen) || std::all_of(seen.begin(), seen.end(), is_finite)) return;
  throw NotFiniteError(fmt::format("stop_on_nan: the loss is {} at step {} (epoch {}, batch {}); {}", loss.item(),
                                   trainer.step() + 1, trainer.epoch() + 1, trainer.batch() + 1,
                                   find_cause(trainer, batches)));
}

std::string StopOnNaN::find_cause(Trainer& trainer, std::span<const Batch> batches) const {
  const NoGrad no_grad;
  const detail::GeneratorScope random(generator_);
  Layer& net = trainer.net();
  for (const auto& [name, parameter] : net.named_parameters())
    if (!is_finite(parameter))
      return fmt::format("the parameter {} was not finite before the step: {}", owner_of(net, name), facts(parameter));
  for (const Batch& batch : batches) {
    if (!is_finite(batch.input)) return fmt::format("the input of the net is not finite: {}", facts(batch.input));
    const Watch watch(net);
    const PrecisionScope scope(trainer.options().precision);
    const Tensor output = readable(net(batch.input.to(trainer.device())), trainer.options().precision);
    if (!watch.found().empty()) return fmt::format("the first layer whose output is not finite is {}", watch.found());
    const Tensor loss = trainer.options().loss(output, batch.target.to(trainer.device()));
    if (!is_finite(loss))
      return fmt::format(
          "every layer's output is finite, so it comes from the loss function or the targets (output {}, "
          "target {})",
          output.shape().str(), batch.target.shape().str());
  }
  std::string cause = "a gradient is not finite";
  for (const auto& [name, parameter] : net.named_parameters())  // the last one is the first on the way back
    if (parameter.has_grad() && !is_finite(parameter.grad()))
      cause = fmt::format("the first gradient on the way back that is not finite is that of {}: {}",
                          owner_of(net, name), facts(parameter.grad()));
  return cause;
}

}  // namespace dnn
