// Adam and AdamW.
#include "dnn/optim/adam.h"

#include <cmath>

#include "dnn/error.h"
#include "dnn/ops/optim.h"

namespace dnn {

namespace {

std::vector<ParameterGroup<AdamOptions>> as_adam(const std::vector<ParameterGroup<AdamWOptions>>& groups) {
  std::vector<ParameterGroup<AdamOptions>> result;
  for (const auto& [parameters, o] : groups)
    result.push_back({parameters, {o.lr, o.beta1, o.beta2, o.eps, o.weight_decay}});
  return result;
}

}  // namespace

Adam::Adam(const char* name, const std::vector<ParameterGroup<AdamOptions>>& groups, bool decoupled)
    : Optimizer(name, detail::parameters_of(groups), detail::rates_of(groups), {"mean", "square"}),
      options_(detail::options_of(groups)),
      decoupled_(decoupled) {
  for (const AdamOptions& o : options_) {
    check_option(o.beta1 >= 0 && o.beta1 < 1, "beta1", o.beta1, "a number in [0, 1)");
    check_option(o.beta2 >= 0 && o.beta2 < 1, "beta2", o.beta2, "a number in [0, 1)");
    check_option(std::isfinite(o.eps) && o.eps >= 0, "eps", o.eps, "a finite number, at least 0");
    check_option(std::isfinite(o.weight_decay) && o.weight_decay >= 0, "weight_decay", o.weight_decay,
                 "a finite number, at least 0");
  }
}

void Adam::update(const UpdateList& list) {
  const AdamOptions& o = options_[list.group];
  adam_update_(list.parameters, list.gradients, list.states[0], list.states[1],
               {.lr = rate(list.group),
                .beta1 = o.beta1,
                .beta2 = o.beta2,
                .eps = o.eps,
                .weight_decay = o.weight_decay,
                .decoupled_decay = decoupled_,
                .step = list.step},
               list.control);
}

AdamW::AdamW(const std::vector<ParameterGroup<AdamWOptions>>& groups) : Adam("adamw", as_adam(groups), true) {}

}  // namespace dnn
