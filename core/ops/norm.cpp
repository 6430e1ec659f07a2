// Batch normalisation.
#include "dnn/ops/norm.h"

#include "core/autocast.h"
#include "core/check.h"
#include "core/kernels/norm.h"
#include "core/node.h"
#include "core/ops/batch_norm.h"
#include "core/ops/fusion.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/unary.h"

namespace dnn {

using detail::Backward;
using detail::Saved;

namespace {

// 16-bit activations keep their statistics and parameters in float32.
DType parameter_type(DType activations) { return activations == DType::float64 ? DType::float64 : DType::float32; }

void check_channels(const Tensor& t, const char* name, const Tensor& x, DType type) {
  if (!t.defined()) throw ArgumentError(fmt::format("batch_norm: {} is undefined, expected a tensor", name));
  if (t.shape() != Shape{x.size(1)})
    throw ShapeError(
        fmt::format("batch_norm: {} has shape {}, expected [{}] (input {})", name, t.shape(), x.size(1), x.shape()));
  if (t.dtype() != type)
    throw DTypeError(
        fmt::format("batch_norm: {} is {}, expected {} for an input of {}", name, t.dtype(), type, x.dtype()));
  if (!t.is_contiguous())
    throw ArgumentError(fmt::format("batch_norm: {} has gaps between its elements, expected it contiguous", name));
}

}  // namespace

void detail::check_batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                              const Tensor& var, const BatchNormOptions& o) {
  detail::check_same_device("batch_norm", {{"input", &x},
                                           {"weight", &weight},
                                           {"bias", &bias},
                                           {"running_mean", &mean},
                                           {"running_var", &var},
                                           {"num_batches_tracked", &o.num_batches_tracked},
                                           {"add", &o.add}});
  detail::check_floating("batch_norm", "input", x);
  if (x.rank() != 2 && x.rank() != 4)
    throw ShapeError(fmt::format("batch_norm: input has {} dimensions, expected [n, c] or [n, c, h, w] (input {})",
                                 x.rank(), x.shape()));
  const DType type = parameter_type(x.dtype());
  check_channels(weight, "weight", x, type);
  check_channels(bias, "bias", x, type);
  if (mean.defined() || var.defined() || !o.training) {
    check_channels(mean, "running_mean", x, type);
    check_channels(var, "running_var", x, type);
  }
  if (o.add.defined() && (o.add.shape() != x.shape() || o.add.dtype() != x.dtype()))
    throw ShapeError(fmt::format("batch_norm: add is {} {}, expected the input's {} {}", o.add.dtype(), o.add.shape(),
                                 x.dtype(), x.shape()));
  const Tensor& batches = o.num_batches_tracked;
  if (batches.defined() && batches.rank() != 0)
    throw ShapeError(fmt::format("batch_norm: num_batches_tracked has shape {}, expected [] (input {})",
                                 batches.shape(), x.shape()));
  if (batches.defined() && batches.dtype() != DType::int64)
    throw DTypeError(fmt::format("batch_norm: num_batches_tracked is {}, expected int64", batches.dtype()));
  if (!(o.eps > 0)) throw ArgumentError(fmt::format("batch_norm: eps is {}, expected a positive number", o.eps));
  if (!(o.momentum >= 0 && o.momentum <= 1))
    throw ArgumentError(fmt::format("batch_norm: momentum is {}, expected 0 to 1", o.momentum));
  const int64_t per_channel = x.size(1) == 0 ? 0 : x.numel() / x.size(1);
  if (o.training && per_channel < 2)
    throw ShapeError(fmt::format("batch_norm: {} values per channel in training, expected at least 2 (input {})",
                                 per_channel, x.shape()));
}

kernel::RunningStatistics detail::running_statistics(const Tensor& mean, const Tensor& var,
                                                     const BatchNormOptions& options) {
  return {.mean = mean, .var = var, .batches = options.num_batches_tracked, .momentum = options.momentum};
}

void detail::bump_versions(const kernel::RunningStatistics& running) {
  running.each_tensor([](const Tensor& t) {
    if (t.defined()) bump_version(t);
  });
}

namespace {

// Whether nobody would notice that the input is overwritten.
bool is_forgotten(const Tensor& input) {
  return input.device().is_cpu() && detail::Access::pointer(input).use_count() == 1 &&
         detail::Access::impl(input).storage.use_count() == 1 && !input.requires_grad() && input.is_contiguous();
}

Tensor normalize(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                 const Tensor& running_var, const BatchNormOptions& options, bool overwrites) {
  if (detail::autocasts() && options.add.defined() && input.defined() && options.add.dtype() != input.dtype()) {
    BatchNormOptions plain = options;
    plain.activation = Activation::none, plain.add = {};
    const Tensor y = normalize(input, weight, bias, running_mean, running_var, plain, overwrites);
    return detail::compose(y, options.add, options.activation);
  }
  detail::check_batch_norm(input, weight, bias, running_mean, running_var, options);
  if (options.activation == Activation::gelu_tanh) {  // the kernels know relu alone
    BatchNormOptions plain = options;
    plain.activation = Activation::none;
    return gelu(normalize(input, weight, bias, running_mean, running_var, plain, overwrites), GeluForm::tanh);
  }
  if (input.rank() == 2) {
    BatchNormOptions flat = options;
    const Shape image{input.size(0), input.size(1), 1, 1};
    if (flat.add.defined()) flat.add = flat.add.reshape(image);
    return batch_norm(input.reshape(image), weight, bias, running_mean, running_var, flat).reshape(input.shape());
  }

  const Tensor x = input.contiguous();
  const detail::Layout layout = detail::layout_of(x);
  const Tensor add = options.add.defined() ? detail::in_layout(options.add.contiguous(), layout) : Tensor();
  const bool records = detail::needs_grad(std::initializer_list<Tensor>{input, weight, bias, options.add});
  const bool in_place = overwrites && !options.training && !records;
  Tensor out = in_place ? x : detail::allocate_like(x);
  Tensor mean, inv_std;
  const Device device = x.device();
  if (options.training) {
    mean = empty_like(weight), inv_std = empty_like(weight);
    const auto running = detail::running_statistics(running_mean, running_var, options);
    kernel::batch_norm_train[device](x, weight, bias, add, options.activation, options.eps, running, mean, inv_std,
                                     out);
    detail::bump_versions(running);
  } else {
    kernel::batch_norm_infer[device](x, weight, bias, add, options.activation, options.eps, running_mean, running_var,
                                     out);
    if (in_place) detail::bump_version(out);
    if (records) {
      NoGrad no_grad;
      mean = running_mean.clone();
      inv_std = 1.0 / sqrt(running_var + options.eps);
    }
  }

  const bool activates = options.activation != Activation::none;
  const Saved y = activates ? Saved(out) : Saved();
  const Saved shift = activates && !add.defined() ? Saved(bias) : Saved();
  detail::record("batch_norm", out, {x, weight, bias, options.add},
                 [x = Saved(x), y, w = Saved(weight), shift, mean, inv_std, activation = options.activation,
                  training = options.training](Backward& b) {
                   const Tensor input = b.get(x);
                   const detail::Layout layout = detail::layout_of(input);
                   const Tensor output = b.get(y);
                   kernel::BatchNormGradients out;
                   const auto ask = [&](int i, Tensor& tensor, bool& accumulate, detail::Layout where) {
                     if (!b.wants(i)) return;
                     const detail::Destination to = b.into(i, where);
                     tensor = to.tensor, accumulate = to.accumulate;
                   };
                   ask(0, out.input, out.accumulate_input, layout);
                   ask(1, out.weight, out.accumulate_weight, detail::Layout::plain);
                   ask(2, out.bias, out.accumulate_bias, detail::Layout::plain);
                   const bool passes = activation == Activation::none;  // the gradient of `add` is the output's
                   if (b.wants(3) && !passes) out.add = detail::allocate_like(input);
                   kernel::batch_norm_backward[input.device()](
                       detail::in_layout(b.grad(), layout), input,
                       output.defined() ? detail::in_layout(output, layout) : output, b.get(w), b.get(shift), mean,
                       inv_std, activation, training, out);
                   if (b.wants(3)) b.set(3, passes ? b.grad() : out.add);
                 });
  return out;
}

}  // namespace

Tensor batch_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                  const Tensor& running_var, const BatchNormOptions& options) {
  return normalize(input, weight, bias, running_mean, running_var, options, false);
}

Tensor batch_norm(Tensor&& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                  const Tensor& running_var, const BatchNormOptions& options) {
  const Tensor x = std::move(input);
  const bool overwrites = x.defined() && is_forgotten(x);
  return normalize(x, weight, bias, running_mean, running_var, options, overwrites);
}

}  // namespace dnn
