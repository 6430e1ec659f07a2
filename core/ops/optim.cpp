// The update rules of the optimizers: checks here, arithmetic in one kernel over all parameters.
#include "dnn/ops/optim.h"

#include "core/autocast.h"
#include "core/check.h"
#include "core/kernels/optim.h"
#include "core/storage.h"

namespace dnn {

namespace {

using List = std::vector<Tensor>;

bool has_16bit(const Tensor& t) { return t.dtype() == DType::float16 || t.dtype() == DType::bfloat16; }

// Whether the list holds gradients, which may be narrower than their parameters.
enum class Types { alike, gradients };

void check_contiguous(const char* where, const char* name, size_t i, const Tensor& t) {
  if (!t.is_contiguous())
    throw ArgumentError(
        fmt::format("{}: entry {} of {} has gaps between its elements, expected it contiguous (shape {})", where, i,
                    name, t.shape()));
}

void check_list(const char* where, const char* name, const List& parameters, const List& list,
                Types types = Types::alike) {
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
    const bool narrow = types == Types::gradients && p.dtype() == DType::float32 && has_16bit(t);
    if (t.dtype() != p.dtype() && !narrow)
      throw DTypeError(fmt::format("{}: entry {} of {} is {}, its parameter {}", where, i, name, t.dtype(), p.dtype()));
    check_contiguous(where, name, i, t);
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

// One number on the device, of a type that is `ok`.
void check_number(const char* where, const char* name, const Tensor& t, Device device, bool ok, const char* types) {
  if (t.rank() != 0 || !ok)
    throw DTypeError(
        fmt::format("{}: {} is {} {}, expected one number [] of {}", where, name, t.dtype(), t.shape(), types));
  if (t.device() != device)
    throw DeviceError(fmt::format("{}: {} is on {}, expected it on {}", where, name, t.device(), device));
}

void check_factor(const char* where, const Tensor& t, Device device) {
  check_number(where, "factor", t, device, t.dtype() == DType::float32 || t.dtype() == DType::float64,
               "float32 or float64");
}

void check_float32(const char* where, const char* name, const Tensor& t, Device device) {
  check_number(where, name, t, device, t.dtype() == DType::float32, "float32");
}

// The checks of parameters, gradients and control that all rules share.
void check_update(const char* where, const List& parameters, const List& gradients, const UpdateControl& control) {
  check_parameters(where, parameters);
  check_list(where, "gradients", parameters, gradients, Types::gradients);
  if (parameters.empty()) return;
  const Device device = parameters.front().device();
  if (control.factor.defined()) check_factor(where, control.factor, device);
  if (control.skip.defined()) check_float32(where, "skip", control.skip, device);
  if (control.skipped.defined()) check_float32(where, "skipped", control.skipped, device);
}

void changed(const List& list) {
  for (const Tensor& t : list) detail::bump_version(t);
}

// The options without the numbers that functions give, which kernels of a GPU ask: a captured step is the same one for
// all of them.
template <class Options>
Options without_given(Options options, const UpdateControl& control) {
  if (control.lr) options.lr = 0;
  if constexpr (requires { options.step; }) {
    if (control.step) options.step = 0;
  }
  return options;
}

// The options with the numbers that functions give now, which kernels of a CPU do not ask.
template <class Options>
Options with_given(Options options, const UpdateControl& control) {
  if (control.lr) options.lr = control.lr();
  if constexpr (requires { options.step; }) {
    if (control.step) options.step = control.step();
  }
  return options;
}

// Runs the kernel of an update, whose arguments before the extras are `call`'s, and notes what changed.
template <class Slot, class Options, class... States>
void run(const Slot& slot, const List& parameters, const List& gradients, const Options& options,
         const UpdateControl& control, const States&... states) {
  if (parameters.empty()) return;
  kernel::UpdateExtras extras{control};
  bool shadowed = false;
  for (const Tensor& p : parameters) {
    extras.shadows.push_back(detail::shadow_to_write(p, control.skip.defined()));
    shadowed = shadowed || extras.shadows.back().defined();
  }
  if (!shadowed) extras.shadows.clear();
  const Device device = parameters.front().device();
  slot[device](parameters, gradients, states...,
               device.is_cpu() ? with_given(options, control) : without_given(options, control), extras);
  changed(parameters), (changed(states), ...);
  for (size_t i = 0; i < extras.shadows.size(); ++i)
    if (extras.shadows[i].defined()) detail::shadow_written(parameters[i]);
  if (control.skipped.defined()) detail::bump_version(control.skipped);
}

Device check_gradients(const char* where, const List& gradients) {
  if (gradients.empty()) throw ArgumentError(fmt::format("{}: there are no gradients, expected at least one", where));
  for (size_t i = 0; i < gradients.size(); ++i) {
    const Tensor& gradient = gradients[i];
    if (!gradient.defined()) throw ArgumentError(fmt::format("{}: entry {} of gradients is undefined", where, i));
    detail::check_same_device(where, {{"first gradient", &gradients.front()}, {"gradient", &gradient}});
    detail::check_floating(where, "gradient", gradient);
    check_contiguous(where, "gradients", i, gradient);
    detail::make_plain(gradient);
  }
  return gradients.front().device();
}

}  // namespace

void sgd_update_(const List& parameters, const List& gradients, const List& velocities, const SgdUpdate& options,
                 const UpdateControl& control) {
  check_update("sgd_update_", parameters, gradients, control);
  if (options.momentum != 0 || !velocities.empty()) check_list("sgd_update_", "velocities", parameters, velocities);
  if (options.step < 0)
    throw ArgumentError(
        fmt::format("sgd_update_: step is {}, expected 1 for the first update, or another count", options.step));
  run(kernel::sgd_update, parameters, gradients, options, control, velocities);
}

void adam_update_(const List& parameters, const List& gradients, const List& means, const List& squares,
                  const AdamUpdate& options, const UpdateControl& control) {
  check_update("adam_update_", parameters, gradients, control);
  check_list("adam_update_", "means", parameters, means);
  check_list("adam_update_", "squares", parameters, squares);
  if (options.step < 1)
    throw ArgumentError(fmt::format("adam_update_: step is {}, expected 1 for the first update", options.step));
  run(kernel::adam_update, parameters, gradients, options, control, means, squares);
}

void rmsprop_update_(const List& parameters, const List& gradients, const List& squares, const List& means,
                     const List& velocities, const RmspropUpdate& options, const UpdateControl& control) {
  check_update("rmsprop_update_", parameters, gradients, control);
  check_list("rmsprop_update_", "squares", parameters, squares);
  if (options.centered) check_list("rmsprop_update_", "means", parameters, means);
  if (options.momentum != 0) check_list("rmsprop_update_", "velocities", parameters, velocities);
  run(kernel::rmsprop_update, parameters, gradients, options, control, squares, means, velocities);
}

void adagrad_update_(const List& parameters, const List& gradients, const List& sums, const AdagradUpdate& options,
                     const UpdateControl& control) {
  check_update("adagrad_update_", parameters, gradients, control);
  check_list("adagrad_update_", "sums", parameters, sums);
  if (options.step < 1)
    throw ArgumentError(fmt::format("adagrad_update_: step is {}, expected 1 for the first update", options.step));
  run(kernel::adagrad_update, parameters, gradients, options, control, sums);
}

GradientMeasures measure_gradients(const List& gradients, const MeasureOptions& options) {
  const Device device = check_gradients("measure_gradients", gradients);
  if (options.scale.defined()) check_float32("measure_gradients", "scale", options.scale, device);
  if (!(options.max_norm >= 0))
    throw ArgumentError(
        fmt::format("measure_gradients: max_norm is {}, expected a positive number, or 0 for none", options.max_norm));
  DType type = DType::float32;
  for (const Tensor& gradient : gradients)
    if (gradient.dtype() == DType::float64) type = DType::float64;
  const GradientMeasures out{detail::allocate({}, type, device), detail::allocate({}, type, device),
                             detail::allocate({}, DType::float32, device)};
  kernel::measure_gradients[device](gradients, options.infinity_norm, options.max_norm, options.scale, out.norm,
                                    out.factor, out.non_finite);
  return out;
}

void scale_gradients_(const List& gradients, const Tensor& factor) {
  const Device device = check_gradients("scale_gradients_", gradients);
  detail::check_defined("scale_gradients_", {{"factor", &factor}});
  check_factor("scale_gradients_", factor, device);
  kernel::scale_gradients[device](gradients, factor);
  changed(gradients);
}

void update_loss_scale_(const Tensor& scale, const Tensor& streak, const Tensor& non_finite,
                        const LossScaleUpdate& options) {
  constexpr const char* where = "update_loss_scale_";
  detail::check_defined(where, {{"scale", &scale}, {"streak", &streak}, {"non_finite", &non_finite}});
  const Device device = scale.device();
  check_float32(where, "scale", scale, device);
  check_number(where, "streak", streak, device, streak.dtype() == DType::int32, "int32");
  check_float32(where, "non_finite", non_finite, device);
  if (options.interval < 1 || options.interval > INT32_MAX)
    throw ArgumentError(fmt::format("{}: interval is {}, expected 1 to {}", where, options.interval, INT32_MAX));
  kernel::update_loss_scale[device](scale, streak, non_finite, options);
  changed({scale, streak});
}

}  // namespace dnn
