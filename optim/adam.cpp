// Adam.
#include "dnn/optim/adam.h"

#include <cmath>

#include "dnn/error.h"
#include "dnn/ops/optim.h"

namespace dnn {

Adam::Adam(std::vector<Tensor> parameters, const AdamOptions& options)
    : Optimizer("adam", std::move(parameters), options.lr, {"mean", "square"}), options_(options) {
  check_option(options.beta1 >= 0 && options.beta1 < 1, "beta1", options.beta1, "a number in [0, 1)");
  check_option(options.beta2 >= 0 && options.beta2 < 1, "beta2", options.beta2, "a number in [0, 1)");
  check_option(std::isfinite(options.eps) && options.eps >= 0, "eps", options.eps, "a finite number, at least 0");
  check_option(std::isfinite(options.weight_decay) && options.weight_decay >= 0, "weight_decay", options.weight_decay,
               "a finite number, at least 0");
}

void Adam::update(const UpdateList& list) {
  adam_update_(list.parameters, list.gradients, list.states[0], list.states[1],
               {.lr = lr(),
                .beta1 = options_.beta1,
                .beta2 = options_.beta2,
                .eps = options_.eps,
                .weight_decay = options_.weight_decay,
                .step = list.step});
}

}  // namespace dnn
