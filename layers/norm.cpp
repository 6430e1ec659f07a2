// Batch normalisation.
#include "dnn/layers/norm.h"

#include <fmt/format.h>

#include "dnn/ops/factory.h"
#include "dnn/ops/norm.h"

namespace dnn {

BatchNorm::BatchNorm(const char* name, int64_t channels, const BatchNormLayerOptions& options) : options_(options) {
  if (channels < 1) throw ArgumentError(fmt::format("{}: channels is {}, expected at least 1", name, channels));
  if (!(options.eps > 0))
    throw ArgumentError(fmt::format("{}: eps is {}, expected a positive number", name, options.eps));
  if (!(options.momentum >= 0 && options.momentum <= 1))
    throw ArgumentError(fmt::format("{}: momentum is {}, expected a number in [0, 1]", name, options.momentum));
  weight = Parameter(ones({channels}));
  bias = Parameter(zeros({channels}));
  running_mean = Buffer(zeros({channels}));
  running_var = Buffer(ones({channels}));
  num_batches_tracked = Buffer(zeros({}, {.dtype = DType::int64}));
}

Tensor BatchNorm::normalize(const Tensor& x, const Epilogue& epilogue) {
  Tensor y = batch_norm(x, weight, bias, running_mean, running_var,
                        {.training = training(),
                         .momentum = options_.momentum,
                         .eps = options_.eps,
                         .activation = epilogue.activation(),
                         .add = epilogue.add});
  if (training()) num_batches_tracked.add_(1);
  return y;
}

// Statistics of 16-bit activations are kept in float32.
DType BatchNorm::storage_dtype(DType requested) const {
  return requested == DType::float64 ? DType::float64 : DType::float32;
}

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
  return normalize(x, epilogue);
}

Tensor BatchNorm1d::forward_fused(Tensor x, const Epilogue& epilogue) {
  if (x.rank() == 2) return normalize(x, epilogue);
  if (x.rank() != 3)
    throw ShapeError(
        fmt::format("BatchNorm1d: input has {} dimensions, expected 2 or 3, [n, c] or [n, c, length] "
                    "(input {})",
                    x.rank(), x.shape().str()));
  Epilogue unsqueezed = epilogue;
  if (epilogue.add.defined()) unsqueezed.add = epilogue.add.unsqueeze(3);
  return normalize(x.unsqueeze(3), unsqueezed).squeeze(3);
}

}  // namespace dnn
