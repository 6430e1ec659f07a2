// Checking analytic gradients against numeric ones.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dnn/tensor.h"

namespace dnn {

/// Options of `gradcheck`.
struct GradcheckOptions {
  double step = 1e-6;           ///< Distance of the two evaluations from the point.
  double atol = 1e-7;           ///< Allowed absolute difference.
  double rtol = 1e-5;           ///< Allowed difference relative to the numeric gradient.
  bool skip_kinks = true;       ///< Leave out elements where the one-sided slopes differ: there is no derivative.
};

/// What `gradcheck` found.
struct GradcheckResult {
  bool ok = true;             ///< Whether every checked element agrees.
  int64_t checked = 0;        ///< Elements compared.
  int64_t skipped = 0;        ///< Elements at a kink.
  double worst = 0;           ///< Largest absolute difference.
  std::string message;        ///< The worst element in words; empty when ok.
};

/// Compares the gradients of sum(f(inputs) * r), r fixed and random, with central differences in every element of every
/// input that requires a gradient. The default generator is put back before each evaluation, so dropout is checked
/// too. Throws DTypeError unless the inputs that require a gradient are float64, ArgumentError when none does.
GradcheckResult gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options = {});

}  // namespace dnn
