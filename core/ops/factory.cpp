// Making tensors.
#include "dnn/ops/factory.h"

#include <cmath>

#include "core/check.h"
#include "core/kernels/copy.h"
#include "core/kernels/runtime.h"
#include "core/storage.h"
#include "dnn/autograd.h"

namespace dnn {

namespace {

Tensor finish(Tensor result, const TensorOptions& options) {
  if (options.requires_grad) result.set_requires_grad();
  return result;
}

}  // namespace

Tensor empty(const Shape& shape, const TensorOptions& options) {
  return finish(detail::allocate(shape, options.dtype, options.device), options);
}

Tensor full(const Shape& shape, Scalar value, const TensorOptions& options) {
  Tensor result = detail::allocate(shape, options.dtype, options.device);
  kernel::fill[options.device](result, value);
  return finish(result, options);
}

Tensor zeros(const Shape& shape, const TensorOptions& options) { return full(shape, 0, options); }
Tensor ones(const Shape& shape, const TensorOptions& options) { return full(shape, 1, options); }
Tensor empty_like(const Tensor& other) { return empty(other.shape(), other.options()); }
Tensor zeros_like(const Tensor& other) { return zeros(other.shape(), other.options()); }
Tensor ones_like(const Tensor& other) { return ones(other.shape(), other.options()); }

Tensor arange(Scalar start, Scalar end, Scalar step, const TensorOptions& options) {
  const double from = start.to_double(), to = end.to_double(), by = step.to_double();
  const double steps = (to - from) / by;
  if (by == 0 || !(steps >= 0 && steps <= 0x1p53))
    throw ArgumentError(fmt::format("arange: steps of {} do not lead from {} to {}", by, from, to));
  const auto count = static_cast<int64_t>(std::ceil(steps));
  const Tensor values = detail::allocate({count}, DType::float64, Device::cpu());
  auto* value = values.data<double>();
  for (int64_t i = 0; i < count; ++i) value[i] = from + static_cast<double>(i) * by;
  return finish(values.to(options.dtype).to(options.device), options);
}

Tensor rand(const Shape& shape, const TensorOptions& options) {
  Tensor result = detail::allocate(shape, options.dtype, options.device);
  detail::check_floating("rand", "options.dtype", result);
  Generator& generator = default_generator();
  kernel::random_uniform[options.device](result, generator.seed(), generator.next_stream());
  return finish(result, options);
}

Tensor randn(const Shape& shape, const TensorOptions& options) {
  Tensor result = detail::allocate(shape, options.dtype, options.device);
  detail::check_floating("randn", "options.dtype", result);
  Generator& generator = default_generator();
  kernel::random_normal[options.device](result, generator.seed(), generator.next_stream());
  return finish(result, options);
}

Tensor tensor(std::initializer_list<double> values, const Shape& shape, const TensorOptions& options) {
  return detail::from_host(values.begin(), static_cast<int64_t>(values.size()), DType::float64, shape, options);
}

Tensor tensor(std::initializer_list<double> values) { return tensor(values, {static_cast<int64_t>(values.size())}); }

namespace detail {

Tensor from_host(const void* values, int64_t count, DType type, const Shape& shape, const TensorOptions& options) {
  if (shape.numel() != count)
    throw ShapeError(fmt::format("from_values: {} values do not fill {}, expected {}", count, shape, shape.numel()));
  NoGrad no_grad;
  Tensor host = allocate(shape, type, Device::cpu());
  const int64_t bytes = count * static_cast<int64_t>(size_of(type));
  if (bytes > 0) runtime(Device::cpu()).copy(raw(host), Device::cpu(), values, Device::cpu(), bytes);
  return finish(host.to(options.dtype).to(options.device), options);
}

}  // namespace detail

}  // namespace dnn
