// The update rules of the optimizers: checks here, arithmetic in one kernel over all parameters.
#include "dnn/ops/optim.h"

#include "core/check.h"
#include "core/kernels/optim.h"
#include "core/storage.h"

namespace dnn {

namespace {

using List = std::vector<Tensor>;

void check_list(const char* where, const char* name, const List& parameters, const List& list) {
  if (list.size() != parameters.size())
    throw ArgumentError(
        fmt::format("{}: {} {} for {} parameters, expected one each", where, list.size(), name, parameters.size()));
  for (size_t i = 0; i < list.size(); ++i) {
    const Tensor &p = parameters[i], &t = list[i];
    detail::check_same_device(where, {{"parameter", &p}, {name, &t}});
    if (!t.defined()) throw ArgumentError(fmt::format("{}: entry {} of {} is undefined", where, i, name));
    if (t.shape() != p.shape())
      throw ShapeError(
          fmt::format("{}: entry {} of {} has shape {}, its parameter {}", where, i, name, t.shape(), p.shape()));
    if (t.dtype() != p.dtype())
      throw DTypeError(fmt::format("{}: entry {} of {} is {}, its parameter {}", where, i, name, t.dtype(), p.dtype()));
    if (!t.is_contiguous())
      throw ArgumentError(
          fmt::format("{}: entry {} of {} has gaps between its elements, expected it contiguous (shape {})", where, i,
                      name, t.shape()));
    detail::make_plain(t);
  }
}

void check_parameters(const char* where, const List& parameters) {
  for (const Tensor& p : parameters) {
    detail::check_same_device(where, {{"parameter", &p}, {"first parameter", &parameters.front()}});
    detail::check_floating(where, "parameter", p);
  }
  check_list(where, "parameters", parameters, parameters);
}

void changed(const List& list) {
  for (const Tensor& t : list) detail::bump_version(t);
}

}  // namespace

void sgd_update_(const List& parameters, const List& gradients, const List& velocities, const SgdUpdate& options) {
  check_parameters("sgd_update_", parameters);
  check_list("sgd_update_", "gradients", parameters, gradients);
  if (options.momentum != 0 || !velocities.empty()) check_list("sgd_update_", "velocities", parameters, velocities);
  if (parameters.empty()) return;
  kernel::sgd_update[parameters.front().device()](parameters, gradients, velocities, options);
  changed(parameters), changed(velocities);
}

void adam_update_(const List& parameters, const List& gradients, const List& means, const List& squares,
                  const AdamUpdate& options) {
  check_parameters("adam_update_", parameters);
  check_list("adam_update_", "gradients", parameters, gradients);
  check_list("adam_update_", "means", parameters, means);
  check_list("adam_update_", "squares", parameters, squares);
  if (options.step < 1)
    throw ArgumentError(fmt::format("adam_update_: step is {}, expected 1 for the first update", options.step));
  if (parameters.empty()) return;
  kernel::adam_update[parameters.front().device()](parameters, gradients, means, squares, options);
  changed(parameters), changed(means), changed(squares);
}

void rmsprop_update_(const List& parameters, const List& gradients, const List& squares, const List& means,
                     const List& velocities, const RmspropUpdate& options) {
  check_parameters("rmsprop_update_", parameters);
  check_list("rmsprop_update_", "gradients", parameters, gradients);
  check_list("rmsprop_update_", "squares", parameters, squares);
  if (options.centered) check_list("rmsprop_update_", "means", parameters, means);
  if (options.momentum != 0) check_list("rmsprop_update_", "velocities", parameters, velocities);
  if (parameters.empty()) return;
  kernel::rmsprop_update[parameters.front().device()](parameters, gradients, squares, means, velocities, options);
  changed(parameters), changed(squares), changed(means), changed(velocities);
}

void adagrad_update_(const List& parameters, const List& gradients, const List& sums, const AdagradUpdate& options) {
  check_parameters("adagrad_update_", parameters);
  check_list("adagrad_update_", "gradients", parameters, gradients);
  check_list("adagrad_update_", "sums", parameters, sums);
  if (parameters.empty()) return;
  kernel::adagrad_update[parameters.front().device()](parameters, gradients, sums, options);
  changed(parameters), changed(sums);
}

}  // namespace dnn
