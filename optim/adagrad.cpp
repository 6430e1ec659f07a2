// Adagrad.
#include "dnn/optim/adagrad.h"

#include <cmath>

#include "dnn/ops/optim.h"

namespace dnn {

Adagrad::Adagrad(const std::vector<ParameterGroup<AdagradOptions>>& groups)
    : Optimizer("adagrad", detail::parameters_of(groups), detail::rates_of(groups), {"sum"}),
      options_(detail::options_of(groups)) {
  for (const AdagradOptions& o : options_) {
    const auto check = [this](const char* name, double value) {
      check_option(std::isfinite(value) && value >= 0, name, value, "a finite number, at least 0");
    };
    check("lr_decay", o.lr_decay), check("weight_decay", o.weight_decay);
    check("initial_sum", o.initial_sum), check("eps", o.eps);
  }
}

void Adagrad::update(const UpdateList& list) {
  const AdagradOptions& o = options_[list.group];
  adagrad_update_(list.parameters, list.gradients, list.states[0],
                  {.lr = rate(list.group),
                   .eps = o.eps,
                   .weight_decay = o.weight_decay,
                   .initial_sum = o.initial_sum,
                   .lr_decay = o.lr_decay,
                   .step = list.step},
                  list.control);
}

}  // namespace dnn
