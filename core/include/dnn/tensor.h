// Tensor: one shared handle to a strided array on a device, with its place in the autograd graph.
//
// Copying a Tensor shares it; `clone` copies the elements; views (reshape, transpose, slice) share the elements. The
// logical order of images is always [batch, channels, height, width], however a device lays them out inside.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "dnn/device.h"
#include "dnn/dtype.h"
#include "dnn/shape.h"

namespace dnn {

class Index;
class Tensor;

namespace detail {
struct TensorImpl;
struct Access;
}  // namespace detail

/// A number that keeps whether it was an integer, as PyTorch's promotion rules need.
class Scalar {
 public:
  Scalar(double value) : floating_(value), integer_(static_cast<int64_t>(value)), is_floating_(true) {}
  Scalar(float value) : Scalar(static_cast<double>(value)) {}
  Scalar(int64_t value) : floating_(static_cast<double>(value)), integer_(value), is_floating_(false) {}
  Scalar(int value) : Scalar(static_cast<int64_t>(value)) {}
  double to_double() const { return floating_; }
  int64_t to_int64() const { return integer_; }
  bool is_floating() const { return is_floating_; }

 private:
  double floating_;
  int64_t integer_;
  bool is_floating_;
};

/// What a new tensor is made of.
struct TensorOptions {
  DType dtype = DType::float32;   ///< Element type.
  Device device = Device::cpu();  ///< Where it lies.
  bool requires_grad = false;     ///< Whether operations on it are recorded.
};

/// Options of `Tensor::backward`.
struct BackwardOptions {
  bool retain_graph = false;  ///< Keep the graph for another backward pass.
  bool create_graph = false;  ///< Not supported: throws AutogradError.
};

/// An n-dimensional array.
class Tensor {
 public:
  /// An undefined tensor; only `defined()` may be asked of it.
  Tensor() = default;

  /// Whether this handle refers to a tensor.
  bool defined() const { return impl_ != nullptr; }
  /// Sizes, outermost first.
  const Shape& shape() const;
  /// Distances between neighbours in each dimension, in elements.
  const Strides& strides() const;
  /// Number of dimensions.
  int rank() const { return shape().rank(); }
  /// The size of one dimension; negative ones count from the end. Throws IndexError when out of range.
  int64_t size(int64_t dim) const { return shape().at(dim); }
  /// Number of elements.
  int64_t numel() const;
  /// Element type.
  DType dtype() const;
  /// Where the elements lie.
  Device device() const;
  /// Element type and device, for making an alike tensor.
  TensorOptions options() const { return {.dtype = dtype(), .device = device()}; }
  /// Whether the elements lie in row-major order without gaps.
  bool is_contiguous() const;

  /// Pointer to the first element, on the tensor's device; throws DTypeError when T is not the element type.
  /// Ask again after an operation: later writes go unseen, by autograd's check of saved tensors as by kept copies.
  template <class T>
  T* data() const {
    return static_cast<T*>(checked_data(dtype_of<T>));
  }
  /// The only element as a number; waits for the device. Throws ShapeError unless there is exactly one element.
  double item() const;
  /// All elements in row-major order, on the host; waits for the device. Throws DTypeError when T is not the type.
  template <class T>
  std::vector<T> to_vector() const;
  /// The elements as nested brackets, PyTorch's way, long dimensions shortened with "...".
  std::string str() const;

  /// The tensor on another device (itself when it is there already); differentiable.
  Tensor to(Device device) const;
  /// The tensor in another element type (itself when it has it already); differentiable between floating types.
  Tensor to(DType dtype) const;
  /// Row-major without gaps (itself when it is so already); differentiable.
  Tensor contiguous() const;
  /// A copy of the elements; differentiable.
  Tensor clone() const;

  /// The elements in another shape, one size may be -1; a view of a contiguous tensor, else a copy. Throws ShapeError.
  Tensor reshape(const Shape& shape) const;
  /// All dimensions from `start` on as one: [n, c, h, w] -> [n, c*h*w] by default.
  Tensor flatten(int64_t start = 1, int64_t end = -1) const;
  /// Two dimensions exchanged, a view; throws IndexError.
  Tensor transpose(int64_t dim0, int64_t dim1) const;
  /// The dimensions in another order, each named once, a view: [n, c, h, w] by {0, 2, 3, 1} -> [n, h, w, c]. Throws
  /// IndexError.
  Tensor permute(const Shape& dims) const;
  /// The matrix transposed, a view; throws ShapeError unless the rank is 2.
  Tensor t() const;
  /// Elements `start <= i < end` of a dimension by `step`, a view; negative positions count from the end, others are
  /// clamped, as in Python. Throws IndexError for a bad dimension, ArgumentError for a step below 1.
  Tensor slice(int64_t dim, int64_t start, int64_t end, int64_t step = 1) const;
  /// One index of a dimension, which disappears, a view; throws IndexError.
  Tensor select(int64_t dim, int64_t index) const;
  /// The first dimension's entry of that index, a view; throws IndexError.
  Tensor operator[](int64_t index) const { return select(0, index); }
  /// What Python writes in brackets, e.g. `x.index({Slice(0, 3), 2, ellipsis, new_axis})`; see Index in
  /// dnn/ops/index.h. A view unless a tensor is among the indices. Throws IndexError, ArgumentError.
  Tensor index(std::initializer_list<Index> indices) const;
  /// Without a dimension of size 1, a view; throws ShapeError.
  Tensor squeeze(int64_t dim) const;
  /// With a new dimension of size 1 before `dim`, a view.
  Tensor unsqueeze(int64_t dim) const;
  /// Dimensions of size 1 repeated to `shape` without copying, a view; throws ShapeError.
  Tensor expand(const Shape& shape) const;

  /// Sum over all elements, or over some dimensions; see dnn/ops/reduce.h for more reductions.
  Tensor sum() const;
  /// Mean over all elements.
  Tensor mean() const;
  /// Largest element.
  Tensor max() const;
  /// Smallest element.
  Tensor min() const;
  /// Index (int64) of the first largest element along one dimension.
  Tensor argmax(int64_t dim, bool keepdim = false) const;

  /// Overwrites every element; returns *this. In-place operations throw AutogradError on a tensor that autograd
  /// records (use `NoGrad`).
  Tensor& fill_(Scalar value);
  /// Overwrites every element with 0.
  Tensor& zero_() { return fill_(0); }
  /// Overwrites the elements with those of `source`, converted and broadcast; throws ShapeError.
  Tensor& copy_(const Tensor& source);
  /// Adds `alpha * other`, broadcast.
  Tensor& add_(const Tensor& other, Scalar alpha = 1);
  /// Subtracts `other`, broadcast.
  Tensor& sub_(const Tensor& other);
  /// Multiplies by `other`, broadcast.
  Tensor& mul_(const Tensor& other);
  /// Multiplies by a number.
  Tensor& mul_(Scalar value);
  /// Adds a number.
  Tensor& add_(Scalar value);
  /// Subtracts a number.
  Tensor& sub_(Scalar value);
  /// Divides by `other`, broadcast. Throws DTypeError for an integer tensor, which cannot hold the quotients.
  Tensor& div_(const Tensor& other);
  /// Divides by a number; throws like the form above.
  Tensor& div_(Scalar value);
  /// Raises to a power.
  Tensor& pow_(Scalar exponent);
  /// Replaces elements outside of [low, high] by the nearer end; throws ArgumentError unless low <= high.
  Tensor& clamp_(double low, double high);
  /// Changes the sign.
  Tensor& neg_();
  /// |x|.
  Tensor& abs_();
  /// e^x; like `log_`, `sqrt_`, `sigmoid_` and `tanh_` it throws DTypeError for an integer tensor.
  Tensor& exp_();
  /// Natural logarithm.
  Tensor& log_();
  /// Square root.
  Tensor& sqrt_();
  /// max(x, 0).
  Tensor& relu_();
  /// 1 / (1 + e^-x).
  Tensor& sigmoid_();
  /// Hyperbolic tangent.
  Tensor& tanh_();
  /// Overwrites the elements where `mask` (bool, broadcast) holds; throws DTypeError, ShapeError.
  Tensor& masked_fill_(const Tensor& mask, Scalar value);
  /// Overwrites with uniform numbers between `low` and `high` from the default generator; throws DTypeError unless the
  /// type is floating.
  Tensor& uniform_(double low = 0, double high = 1);
  /// Overwrites with normal numbers from the default generator; throws like `uniform_`.
  Tensor& normal_(double mean = 0, double deviation = 1);
  /// Overwrites with 1 of probability `p`, else 0, drawn from the default generator; throws ArgumentError unless p is
  /// between 0 and 1.
  Tensor& bernoulli_(double p = 0.5);

  /// Whether operations on this tensor are recorded.
  bool requires_grad() const;
  /// Starts or stops recording on a leaf; returns *this. Throws AutogradError on the result of a recorded operation,
  /// DTypeError unless the type is floating.
  Tensor& set_requires_grad(bool value = true);
  /// Whether it was not computed by a recorded operation.
  bool is_leaf() const;
  /// The gradient that `backward` has left since `zero_grad`, undefined without one; of 16 bits after an `Autocast`.
  Tensor grad() const;
  /// Replaces the gradient (in place when there is one), that of float32 also by one of 16 bits; an undefined tensor
  /// takes it away. Throws ShapeError, DTypeError or DeviceError when it does not fit.
  void set_grad(const Tensor& grad);
  /// Forgets the gradient; its memory stays, and the next backward pass overwrites it at the same address.
  void zero_grad();
  /// Whether `grad` is defined.
  bool has_grad() const;
  /// Adds the gradients of this one-element tensor to those of all leaves that want one; if it throws, they have none.
  void backward(const BackwardOptions& options = {}) const;
  /// The same from an upstream gradient of this tensor's shape.
  void backward(const Tensor& gradient, const BackwardOptions& options = {}) const;
  /// The same elements outside the graph, a view.
  Tensor detach() const;
  /// Calls `hook` with the gradient of this tensor, once per backward pass, when it is complete; returns the number
  /// to give to `remove_hook`. Throws AutogradError unless the tensor requires a gradient.
  int register_hook(std::function<void(const Tensor& gradient)> hook) const;
  /// Takes a hook away again.
  void remove_hook(int id) const;
  /// Makes this tensor refer to the elements of `source`, its shape, type and device included, and stay the same tensor
  /// to everybody who holds it; the gradient is dropped. Throws AutogradError on the result of a recorded operation,
  /// DTypeError when it requires a gradient and the new type is not floating.
  void set_data(const Tensor& source);
  /// Counts in-place changes of the storage; autograd uses it to protect saved tensors.
  uint64_t version() const;

  /// Whether two handles share one tensor.
  bool is_same(const Tensor& other) const { return impl_ == other.impl_; }

 private:
  friend struct detail::Access;
  explicit Tensor(std::shared_ptr<detail::TensorImpl> impl) : impl_(std::move(impl)) {}
  void* checked_data(DType expected) const;
  void copy_to_host(void* destination, DType expected) const;

  std::shared_ptr<detail::TensorImpl> impl_;
};

template <class T>
std::vector<T> Tensor::to_vector() const {
  std::vector<T> values(static_cast<size_t>(numel()));
  copy_to_host(values.data(), dtype_of<T>);
  return values;
}

template <>
inline std::vector<bool> Tensor::to_vector<bool>() const {
  std::vector<uint8_t> bytes(static_cast<size_t>(numel()));
  copy_to_host(bytes.data(), DType::boolean);
  return {bytes.begin(), bytes.end()};
}

/// Writes `tensor.str()`.
std::ostream& operator<<(std::ostream& stream, const Tensor& tensor);

}  // namespace dnn
