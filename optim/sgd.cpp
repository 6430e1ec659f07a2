// Stochastic gradient descent.
#include "dnn/optim/sgd.h"

#include <cmath>

#include "dnn/error.h"
#include "dnn/ops/optim.h"

namespace dnn {

namespace {

// Without momentum in any group there is nothing to remember.
std::vector<std::string> state_names(const std::vector<ParameterGroup<SgdOptions>>& groups) {
  for (const auto& group : groups)
    if (group.options.momentum != 0) return {"velocity"};
  return {};
}

}  // namespace

SGD::SGD(const std::vector<ParameterGroup<SgdOptions>>& groups)
    : Optimizer("sgd", detail::parameters_of(groups), detail::rates_of(groups), state_names(groups)),
      options_(detail::options_of(groups)) {
  for (const SgdOptions& o : options_) {
    const auto check = [this](const char* name, double value) {
      check_option(std::isfinite(value) && value >= 0, name, value, "a finite number, at least 0");
    };
    check("momentum", o.momentum);
    check("weight_decay", o.weight_decay);
    check_option(std::isfinite(o.dampening), "dampening", o.dampening, "a finite number");
    if (!o.nesterov) continue;
    check_option(o.momentum > 0, "momentum", o.momentum, "a positive number for nesterov");
    check_option(o.dampening == 0, "dampening", o.dampening, "0 for nesterov");
  }
}

void SGD::update(const UpdateList& list) {
  const SgdOptions& o = options_[list.group];
  sgd_update_(list.parameters, list.gradients, list.states.empty() ? std::vector<Tensor>{} : list.states[0],
              {.lr = rate(list.group),
               .momentum = o.momentum,
               .dampening = o.dampening,
               .weight_decay = o.weight_decay,
               .nesterov = o.nesterov,
               .step = list.step},
              list.control);
}

}  // namespace dnn
