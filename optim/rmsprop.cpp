// RMSprop.
#include "dnn/optim/rmsprop.h"

#include <cmath>

#include "dnn/ops/optim.h"

namespace dnn {

RMSprop::RMSprop(const std::vector<ParameterGroup<RmspropOptions>>& groups)
    : Optimizer("rmsprop", detail::parameters_of(groups), detail::rates_of(groups), {"square", "mean", "velocity"}),
      options_(detail::options_of(groups)) {
  for (const RmspropOptions& o : options_) {
    const auto check = [this](const char* name, double value) {
      check_option(std::isfinite(value) && value >= 0, name, value, "a finite number, at least 0");
    };
    check_option(o.alpha >= 0 && o.alpha < 1, "alpha", o.alpha, "a number in [0, 1)");
    check("eps", o.eps), check("weight_decay", o.weight_decay), check("momentum", o.momentum);
  }
}

void RMSprop::update(const UpdateList& list) {
  const RmspropOptions& o = options_[list.group];
  rmsprop_update_(list.parameters, list.gradients, list.states[0], list.states[1], list.states[2],
                  {.lr = rate(list.group),
                   .alpha = o.alpha,
                   .eps = o.eps,
                   .weight_decay = o.weight_decay,
                   .momentum = o.momentum,
                   .centered = o.centered},
                  list.control);
}

}  // namespace dnn
