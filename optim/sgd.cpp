// Stochastic gradient descent.
#include "dnn/optim/sgd.h"

#include <cmath>

#include "dnn/error.h"
#include "dnn/ops/optim.h"

namespace dnn {

SGD::SGD(std::vector<Tensor> parameters, const SgdOptions& options)
    : Optimizer("sgd", std::move(parameters), options.lr,
                options.momentum != 0 ? std::vector<std::string>{"velocity"} : std::vector<std::string>{}),
      options_(options) {
  const auto check = [this](const char* name, double value) {
    check_option(std::isfinite(value) && value >= 0, name, value, "a finite number, at least 0");
  };
  check("momentum", options.momentum);
  check("weight_decay", options.weight_decay);
  check_option(std::isfinite(options.dampening), "dampening", options.dampening, "a finite number");
  if (options.nesterov) {
    check_option(options.momentum > 0, "momentum", options.momentum, "a positive number for nesterov");
    check_option(options.dampening == 0, "dampening", options.dampening, "0 for nesterov");
  }
}

void SGD::update(const UpdateList& list) {
  sgd_update_(list.parameters, list.gradients, list.states.empty() ? std::vector<Tensor>{} : list.states[0],
              {.lr = lr(),
               .momentum = options_.momentum,
               .dampening = options_.dampening,
               .weight_decay = options_.weight_decay,
               .nesterov = options_.nesterov,
               .first_step = list.step == 1});
}

}  // namespace dnn
