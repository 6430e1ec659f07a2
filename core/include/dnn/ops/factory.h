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
/// One value everywhere, with shape, type and device of another tensor.
Tensor full_like(const Tensor& other, Scalar value);
/// Ones on the diagonal of a matrix of zeros [rows, columns]. Throws ArgumentError for a negative size.
Tensor eye(int64_t rows, int64_t columns, const TensorOptions& options = {});
/// The square form [n, n].
Tensor eye(int64_t n, const TensorOptions& options = {});
/// `steps` numbers from `start` to `end` at equal distances, both ends included [steps]. Throws ArgumentError for a
/// negative number of steps.
Tensor linspace(Scalar start, Scalar end, int64_t steps, const TensorOptions& options = {});
/// start, start + step, ... below `end`; [ceil((end - start) / step)]. Throws ArgumentError for a step of 0 or one that
/// leads away from `end`. Integer arguments do not change the element type: `options` alone decides it.
Tensor arange(Scalar start, Scalar end, Scalar step = 1, const TensorOptions& options = {.dtype = DType::int64});
/// Uniform numbers in [0, 1), drawn from the default generator.
Tensor rand(const Shape& shape, const TensorOptions& options = {});
/// Normal numbers of mean 0 and deviation 1, drawn from the default generator.
Tensor randn(const Shape& shape, const TensorOptions& options = {});
/// `rand` with shape, type and device of another tensor.
Tensor rand_like(const Tensor& other);
/// `randn` with shape, type and device of another tensor.
Tensor randn_like(const Tensor& other);

/// Overwrites the elements of `t` with the numbers of `rand(t.shape(), t.options())`. Throws as an in-place operation
/// does, and DTypeError unless the type is floating.
void rand_(Tensor t);
/// The same with the numbers of `randn`.
void randn_(Tensor t);
/// Uniform whole numbers low <= x < high of any type but bool, drawn from the default generator, the same on every
/// device. Throws ArgumentError unless low < high.
Tensor randint(int64_t low, int64_t high, const Shape& shape, const TensorOptions& options = {.dtype = DType::int64});
/// The numbers 0 ... n - 1 in an order drawn from the default generator [n]; takes one of its streams. Throws
/// ArgumentError for a negative n.
Tensor randperm(int64_t n, const TensorOptions& options = {.dtype = DType::int64});
/// 1 with the probability that each element of `p` gives, else 0, drawn from the default generator; like `p` in shape,
/// type and device. Probabilities outside of 0 to 1 count as the nearer one.
Tensor bernoulli(const Tensor& p);
/// Rows of zeros with a 1 at the index: [...] -> [..., classes]; without `classes` as many as the largest index needs.
/// The type is int64 as in PyTorch unless another one is named, float32 for example where a loss compares it with an
/// output. Without `classes` it waits for the device. Throws IndexError for an index outside of 0 <= i < classes (on a
/// GPU at the next wait), DTypeError unless the indices are integers, ArgumentError for no index and no `classes`.
Tensor one_hot(const Tensor& indices, int64_t classes = -1, DType dtype = DType::int64);

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
/// A copy of the elements at a pointer on the host in row-major order, as many as the shape has. It is a copy, since
/// autograd and the packed weights of convolutions rely on seeing every change of a tensor.
template <class T>
Tensor from_data(const T* data, const Shape& shape, Device device = Device::cpu()) {
  return from_values(std::span<const T>(data, static_cast<size_t>(shape.numel())), shape, device);
}
/// A tensor of listed numbers, converted to `options.dtype`, e.g. `tensor({1, 2, 3, 4}, {2, 2})`.
Tensor tensor(std::initializer_list<double> values, const Shape& shape, const TensorOptions& options = {});
/// A vector of listed numbers [n].
Tensor tensor(std::initializer_list<double> values);

}  // namespace dnn
