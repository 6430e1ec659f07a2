// Slots of the optimizers: one call, on a GPU one launch, over all parameters. Lists are checked, contiguous and plain.
#pragma once

#include <vector>

#include "core/slot.h"
#include "dnn/ops/optim.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

inline constinit Slot<void(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                           const std::vector<Tensor>& velocities, const SgdUpdate& options)>
    sgd_update{"sgd_update"};

inline constinit Slot<void(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                           const std::vector<Tensor>& means, const std::vector<Tensor>& squares,
                           const AdamUpdate& options)>
    adam_update{"adam_update"};

// `means` are read and written when centered, `velocities` with momentum.
inline constinit Slot<void(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                           const std::vector<Tensor>& squares, const std::vector<Tensor>& means,
                           const std::vector<Tensor>& velocities, const RmspropUpdate& options)>
    rmsprop_update{"rmsprop_update"};

inline constinit Slot<void(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                           const std::vector<Tensor>& sums, const AdagradUpdate& options)>
    adagrad_update{"adagrad_update"};

template <class Visit>
void visit_optim_slots(Visit&& visit) {
  visit(sgd_update), visit(adam_update), visit(rmsprop_update), visit(adagrad_update);
}

}  // namespace dnn::kernel
