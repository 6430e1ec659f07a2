// Normalisation layers.
#include "dnn/layers/norm.h"

#include <fmt/format.h>

#include "dnn/ops/factory.h"
#include "dnn/ops/norm.h"

namespace dnn {

namespace {

void check_eps(const char* name, double eps) {
  if (!(eps > 0)) throw ArgumentError(fmt::format("{}: eps is {}, expected a positive number", name, eps));
}

// Statistics and parameters of 16-bit activations are kept in float32.
DType wide(DType requested) { return requested == DType::float64 ? DType::float64 : DType::float32; }

}  // namespace

BatchNorm::BatchNorm(const char* name, int64_t channels, const BatchNormLayerOptions& options) : options_(options) {
  if (channels < 1) throw ArgumentError(fmt::format("{}: channels is {}, expected at least 1", name, channels));
  check_eps(name, options.eps);
  if (!(options.momentum >= 0 && options.momentum <= 1))
    throw ArgumentError(fmt::format("{}: momentum is {}, expected a number in [0, 1]", name, options.momentum));
  weight = Parameter(ones({channels}));
  bias = Parameter(zeros({channels}));
  running_mean = Buffer(zeros({channels}));
  running_var = Buffer(ones({channels}));
  num_batches_tracked = Buffer(zeros({}, {.dtype = DType::int64}));
}

Tensor BatchNorm::normalize(Tensor x, const Epilogue& epilogue) {
  return batch_norm(std::move(x), weight, bias, running_mean, running_var, operation(epilogue));
}

BatchNormOptions BatchNorm::operation(const Epilogue& epilogue) const {
  return {.training = training(),
          .momentum = options_.momentum,
          .eps = options_.eps,
          .activation = epilogue.activation(),
          .add = epilogue.add,
          .num_batches_tracked = num_batches_tracked};
}

DType BatchNorm::storage_dtype(DType requested) const { return wide(requested); }

std::string BatchNorm::describe() const {
  std::string text = fmt::format("{}", weight.size(0));
  if (options_.eps != 1e-5) text += fmt::format(", eps={}", options_.eps);
  if (options_.momentum != 0.1) text += fmt::format(", momentum={}", options_.momentum);
  return text;
}

Tensor BatchNorm2d::forward_fused(Tensor x, const Epilogue& epilogue) {
  if (x.rank() != 4)
    throw ShapeError(fmt::format("BatchNorm2d: input has {} dimensions, expected 4, [n, c, h, w] (input {})", x.rank(),
                                 x.shape().str()));
  return normalize(std::move(x), epilogue);
}

Tensor BatchNorm2d::relu_max_pool(Tensor x, const Pool2dOptions& pool) {
  const Epilogue relu{.relu = true};
  if (has_forward_hooks() || !training()) return max_pool2d((*this)(std::move(x), relu), pool);
  return run(x,
             [&] { return batch_norm_max_pool2d(x, weight, bias, running_mean, running_var, operation(relu), pool); });
}

Tensor BatchNorm1d::forward_fused(Tensor x, const Epilogue& epilogue) {
  if (x.rank() == 2) return normalize(std::move(x), epilogue);
  if (x.rank() != 3)
    throw ShapeError(
        fmt::format("BatchNorm1d: input has {} dimensions, expected 2 or 3, [n, c] or [n, c, length] "
                    "(input {})",
                    x.rank(), x.shape().str()));
  Epilogue unsqueezed = epilogue;
  if (epilogue.add.defined()) unsqueezed.add = epilogue.add.unsqueeze(3);
  return normalize(x.unsqueeze(3), unsqueezed).squeeze(3);
}

// ---- each sample on its own -----------------------------------------------------------------------------------------

SampleNorm::SampleNorm(const char* name, const Shape& sizes, double eps, bool with_weight, bool with_bias) : eps_(eps) {
  check_eps(name, eps);
  if (with_weight) weight = Parameter(ones(sizes));
  if (with_bias) bias = Parameter(zeros(sizes));
}

DType SampleNorm::storage_dtype(DType requested) const { return wide(requested); }

namespace {

const Shape& checked(const Shape& sizes) {
  bool good = !sizes.empty();
  for (const int64_t size : sizes) good = good && size > 0;
  if (!good)
    throw ArgumentError(
        fmt::format("LayerNorm: the normalized shape is {}, expected sizes of at least 1", sizes.str()));
  return sizes;
}

int64_t checked_channels(const char* name, int64_t channels) {
  if (channels < 1) throw ArgumentError(fmt::format("{}: channels is {}, expected at least 1", name, channels));
  return channels;
}

}  // namespace

LayerNorm::LayerNorm(const Shape& normalized_shape, const LayerNormLayerOptions& options)
    : SampleNorm("LayerNorm", checked(normalized_shape), options.eps, options.elementwise_affine,
                 options.elementwise_affine && options.bias),
      sizes_(normalized_shape) {}

std::string LayerNorm::describe() const {
  std::string text = sizes_.str();
  if (eps_ != 1e-5) text += fmt::format(", eps={}", eps_);
  if (!weight.defined())
    text += ", elementwise_affine=false";
  else if (!bias.defined())
    text += ", bias=false";
  return text;
}

GroupNorm::GroupNorm(int64_t groups, int64_t channels, const GroupNormLayerOptions& options)
    : SampleNorm("GroupNorm", {checked_channels("GroupNorm", channels)}, options.eps, options.affine, options.affine),
      groups_(groups),
      channels_(channels) {
  if (groups < 1 || channels % groups != 0)
    throw ArgumentError(
        fmt::format("GroupNorm: groups is {}, expected a divisor of the {} channels", groups, channels));
}

std::string GroupNorm::describe() const {
  std::string text = fmt::format("{}, {}", groups_, channels_);
  if (eps_ != 1e-5) text += fmt::format(", eps={}", eps_);
  if (!weight.defined()) text += ", affine=false";
  return text;
}

InstanceNorm::InstanceNorm(const char* name, int rank, int64_t channels, const InstanceNormLayerOptions& options)
    : SampleNorm(name, {checked_channels(name, channels)}, options.eps, options.affine, options.affine),
      rank_(rank),
      channels_(channels) {}

Tensor InstanceNorm::forward(Tensor x) {
  if (x.rank() != rank_ || x.size(1) != channels_)
    throw ShapeError(fmt::format("{}: input is {}, expected [n, {}, {}]", type_name(), x.shape().str(), channels_,
                                 rank_ == 4 ? "h, w" : "length"));
  return instance_norm(x, weight, bias, {.eps = eps_});
}

std::string InstanceNorm::describe() const {
  std::string text = fmt::format("{}", channels_);
  if (eps_ != 1e-5) text += fmt::format(", eps={}", eps_);
  if (weight.defined()) text += ", affine=true";
  return text;
}

LocalResponseNorm::LocalResponseNorm(const LocalResponseNormOptions& options) : options_(options) {
  if (options.size < 1)
    throw ArgumentError(fmt::format("LocalResponseNorm: size is {}, expected at least 1", options.size));
}

std::string LocalResponseNorm::describe() const {
  return fmt::format("{}, alpha={}, beta={}, k={}", options_.size, options_.alpha, options_.beta, options_.k);
}

}  // namespace dnn
