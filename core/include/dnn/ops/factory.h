// Making tensors.
#pragma once

#include <span>
#include <vector>

#include "dnn/random.h"
#include "dnn/tensor.h"

namespace dnn {

/// A tensor with undefined contents.
Tensor empty(const Shape& shape, const TensorOptions& options = {});
/// A tensor of zeros.
Tensor zeros(const Shape& shape, const TensorOptions& options = {});
/// A tensor of ones.
Tensor ones(const Shape& shape, const TensorOptions& options = {});
/// A tensor of one value everywhere.
Tensor full(const Shape& shape, Scalar value, const TensorOptions& options = {});
/// Undefined contents, with shape, type and device of another tensor.
Tensor empty_like(const Tensor& other);
/// Zeros, with shape, type and device of another tensor.
Tensor zeros_like(const Tensor& other);
/// Ones, with shape, type and device of another tensor.
Tensor ones_like(const Tensor& other);
/// start, start + step, ... below `end`; [ceil((end - start) / step)]. Throws ArgumentError for a step of 0 or one that
/// leads away from `end`. Integer arguments do not change the element type: `options` alone decides it.
Tensor arange(Scalar start, Scalar end, Scalar step = 1, const TensorOptions& options = {.dtype = DType::int64});
/// Uniform numbers in [0, 1), drawn from the default generator.
Tensor rand(const Shape& shape, const TensorOptions& options = {});
/// Normal numbers of mean 0 and deviation 1, drawn from the default generator.
Tensor randn(const Shape& shape, const TensorOptions& options = {});

namespace detail {
Tensor from_host(const void* values, int64_t count, DType type, const Shape& shape, const TensorOptions& options);
}

/// A copy of host values in row-major order; keeps their type unless `options.dtype` is given explicitly by the
/// overload below. Throws ShapeError when the count does not fit the shape.
template <class T>
Tensor from_values(std::span<const T> values, const Shape& shape, Device device = Device::cpu()) {
  return detail::from_host(values.data(), static_cast<int64_t>(values.size()), dtype_of<T>, shape,
                           {.dtype = dtype_of<T>, .device = device});
}
/// A copy of a vector's values, e.g. `from_values(std::vector<int64_t>{3, 1, 4}, {3})`.
template <class T>
Tensor from_values(const std::vector<T>& values, const Shape& shape, Device device = Device::cpu()) {
  return from_values(std::span<const T>(values), shape, device);
}
/// A tensor of listed numbers, converted to `options.dtype`, e.g. `tensor({1, 2, 3, 4}, {2, 2})`.
Tensor tensor(std::initializer_list<double> values, const Shape& shape, const TensorOptions& options = {});
/// A vector of listed numbers [n].
Tensor tensor(std::initializer_list<double> values);

}  // namespace dnn
