// Slots of the optimizers: one call, on a GPU one launch, over all parameters. Lists are checked, contiguous and plain.
//
// Parameters and states are of one type; a gradient is of its parameter's type, or of 16 bits beside float32.
#pragma once

#include <vector>

#include "core/slot.h"
#include "dnn/ops/optim.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// What an update reads and writes beside its lists.
struct UpdateExtras {
  UpdateControl control;
  // Empty, or for each parameter its shadow: the copy of 16 bits that the update writes as well, undefined for none.
  std::vector<Tensor> shadows = {};
  template <class Visit>
  void each_tensor(Visit&& visit) const {
    for (const Tensor& shadow : shadows) visit(shadow);
    visit(control.factor), visit(control.skip), visit(control.skipped);
  }
};

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

// With a step that `control.skipped` may lessen.
inline constinit Slot<void(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                           const std::vector<Tensor>& velocities, const SgdUpdate& options, const UpdateExtras& extras)>
    sgd_update{"sgd_update"};

inline constinit Slot<void(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                           const std::vector<Tensor>& means, const std::vector<Tensor>& squares,
                           const AdamUpdate& options, const UpdateExtras& extras)>
    adam_update{"adam_update"};

// `means` are read and written when centered, `velocities` with momentum.
inline constinit Slot<void(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                           const std::vector<Tensor>& squares, const std::vector<Tensor>& means,
                           const std::vector<Tensor>& velocities, const RmspropUpdate& options,
                           const UpdateExtras& extras)>
    rmsprop_update{"rmsprop_update"};

inline constinit Slot<void(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                           const std::vector<Tensor>& sums, const AdagradUpdate& options, const UpdateExtras& extras)>
    adagrad_update{"adagrad_update"};

// What MeasureOptions and GradientMeasures name, of gradients of any floating types; norm and factor are both float32
// or both float64, the scale may be undefined.
inline constinit Slot<void(const std::vector<Tensor>& gradients, bool infinity_norm, double max_norm,
                           const Tensor& scale, const Tensor& norm, const Tensor& factor, const Tensor& non_finite)>
    measure_gradients{"measure_gradients"};

struct ScaleWork {
  detail::Work operator()(const std::vector<Tensor>& gradients, const Tensor&) const {
    return UpdateWork::written(gradients);
  }
};

// gradients *= factor, which is float32 or float64.
inline constinit Slot<void(const std::vector<Tensor>& gradients, const Tensor& factor)> scale_gradients{
    "scale_gradients"};

inline constinit Slot<void(const Tensor& scale, const Tensor& streak, const Tensor& non_finite,
                           const LossScaleUpdate& options)>
    update_loss_scale{"update_loss_scale"};

template <class Visit>
void visit_optim_slots(Visit&& visit) {
  visit(sgd_update), visit(adam_update), visit(rmsprop_update), visit(adagrad_update);
  visit(measure_gradients), visit(scale_gradients), visit(update_loss_scale);
}

}  // namespace dnn::kernel
