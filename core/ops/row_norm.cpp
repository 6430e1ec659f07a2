// Layer, group and instance normalisation: rows of neighbouring elements, each normalised on its own.
#include "core/check.h"
#include "core/kernels/norm.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "dnn/ops/norm.h"

namespace dnn {

using detail::Backward;
using detail::Saved;
using kernel::RowNormProblem;

namespace {

// What the checks of all three share; `sizes` is the shape of weight and bias.
void check(const char* where, const Tensor& x, const Shape& sizes, const Tensor& weight, const Tensor& bias,
           const NormOptions& o) {
  detail::check_same_device(where, {{"input", &x}, {"weight", &weight}, {"bias", &bias}});
  detail::check_floating(where, "input", x);
  // 16-bit activations keep their parameters in float32.
  const DType type = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  const auto check_parameter = [&](const char* name, const Tensor& t) {
    if (!t.defined()) return;
    if (t.shape() != sizes)
      throw ShapeError(
          fmt::format("{}: {} has shape {}, expected {} (input {})", where, name, t.shape(), sizes, x.shape()));
    if (t.dtype() != type)
      throw DTypeError(
          fmt::format("{}: {} is {}, expected {} for an input of {}", where, name, t.dtype(), type, x.dtype()));
  };
  check_parameter("weight", weight);
  check_parameter("bias", bias);
  if (!(o.eps > 0)) throw ArgumentError(fmt::format("{}: eps is {}, expected a positive number", where, o.eps));
}

void check_channels(const char* where, const Tensor& x) {
  if (x.rank() < 2 || x.size(1) == 0)
    throw ShapeError(fmt::format("{}: input has no channels, expected [n, c, ...] (input {})", where, x.shape()));
}

Tensor normalise_rows(const char* where, const RowNormProblem& problem, const Tensor& input, const Tensor& weight,
                      const Tensor& bias, double eps) {
  const Device device = input.device();
  const Tensor x = input.contiguous();
  detail::make_plain(x);
  Tensor out = detail::allocate(x.shape(), x.dtype(), device);
  const DType type = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  const Tensor mean = detail::allocate({problem.rows}, type, device);
  const Tensor inv_std = detail::allocate({problem.rows}, type, device);
  {
    NoGrad no_grad;
    const auto plain = [](const Tensor& t) { return t.defined() ? detail::plain(t) : t; };
    kernel::row_norm_forward[device](problem, x, plain(weight), plain(bias), eps, mean, inv_std, out);
  }
  detail::record(where, out, {x, weight, bias},
                 [problem, x = Saved(x), w = weight.defined() ? Saved(weight) : Saved(), mean, inv_std](Backward& b) {
                   const Tensor weight = b.get(w);
                   kernel::RowNormGradients out;
                   const auto ask = [&](int i, Tensor& tensor, bool& accumulate) {
                     if (!b.wants(i)) return;
                     const detail::Destination to = b.into(i);
                     tensor = to.tensor, accumulate = to.accumulate;
                   };
                   ask(0, out.input, out.accumulate_input);
                   ask(1, out.weight, out.accumulate_weight);
                   ask(2, out.bias, out.accumulate_bias);
                   kernel::row_norm_backward[mean.device()](problem, detail::plain(b.grad()), detail::plain(b.get(x)),
                                                            weight.defined() ? detail::plain(weight) : weight, mean,
                                                            inv_std, out);
                 });
  return out;
}

// The elements behind the channels.
int64_t pixels_of(const Shape& shape) {
  int64_t pixels = 1;
  for (int64_t d = 2; d < shape.rank(); ++d) pixels *= shape[d];
  return pixels;
}

}  // namespace

Tensor layer_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight, const Tensor& bias,
                  const NormOptions& options) {
  detail::check_defined("layer_norm", {{"input", &input}});
  const Shape& shape = input.shape();
  const int64_t leading = shape.rank() - normalized_shape.rank();
  bool fits = leading >= 0 && !normalized_shape.empty() && normalized_shape.numel() > 0;
  for (int64_t d = 0; fits && d < normalized_shape.rank(); ++d) fits = shape[leading + d] == normalized_shape[d];
  if (!fits)
    throw ShapeError(
        fmt::format("layer_norm: input {} does not end with the normalized shape {}, expected one that is "
                    "not empty",
                    shape, normalized_shape));
  check("layer_norm", input, normalized_shape, weight, bias, options);
  const int64_t n = normalized_shape.numel();
  return normalise_rows("layer_norm", {input.numel() / n, n}, input, weight, bias, options.eps);
}

Tensor group_norm(const Tensor& input, int64_t groups, const Tensor& weight, const Tensor& bias,
                  const NormOptions& options) {
  detail::check_defined("group_norm", {{"input", &input}});
  check_channels("group_norm", input);
  const int64_t channels = input.size(1), pixels = pixels_of(input.shape());
  if (groups < 1 || channels % groups != 0)
    throw ArgumentError(fmt::format("group_norm: groups is {}, expected a divisor of the {} channels (input {})",
                                    groups, channels, input.shape()));
  check("group_norm", input, {channels}, weight, bias, options);
  const RowNormProblem problem{input.size(0) * groups, channels / groups * pixels, groups, pixels};
  return normalise_rows("group_norm", problem, input, weight, bias, options.eps);
}

Tensor instance_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, const NormOptions& options) {
  detail::check_defined("instance_norm", {{"input", &input}});
  check_channels("instance_norm", input);
  const int64_t channels = input.size(1), pixels = pixels_of(input.shape());
  if (pixels < 2)
    throw ShapeError(
        fmt::format("instance_norm: {} elements per channel, expected at least 2 (input {})", pixels, input.shape()));
  check("instance_norm", input, {channels}, weight, bias, options);
  const RowNormProblem problem{input.size(0) * channels, pixels, channels, pixels};
  return normalise_rows("instance_norm", problem, input, weight, bias, options.eps);
}

}  // namespace dnn
