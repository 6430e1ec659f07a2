// Slots of the optimizers: one call, on a GPU one launch, over all parameters. Lists are checked, contiguous and plain.
#pragma once

#include <vector>

#include "core/slot.h"
#include "dnn/ops/optim.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// All lists are read, all but the gradients written too.
struct UpdateWork {
  using List = std::vector<Tensor>;
  template <class... Rest>
  detail::Work operator()(const List& parameters, const List&, const Rest&... rest) const {
    detail::Work work = written(parameters);
    ((work.bytes += written(rest).bytes), ...);
    return work;
  }
  static detail::Work written(const List& list) {
    detail::Work work;
    for (const Tensor& t : list) work.bytes += detail::traffic_of(t);
    return work;
  }
  template <class Options>
  static detail::Work written(const Options&) {
    return {};
  }
};

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
