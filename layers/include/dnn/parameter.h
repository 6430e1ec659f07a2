// Parameter and Buffer: the two kinds of tensor that a module owns. Each is a Tensor and can be used as one.
//
// They are handles like Tensor itself: a copy shares the elements, which is how weights are tied. Only while a module
// is being cloned does copying them make new tensors, one for each old one, so that tied weights stay tied in the
// clone.
#pragma once

#include "dnn/tensor.h"

namespace dnn {

namespace detail {
// `t` itself, or, while a module is being cloned, the copy of it that belongs to the clone.
Tensor copy_for_clone(const Tensor& t);
}  // namespace detail

/// A tensor that training changes.
class Parameter : public Tensor {
 public:
  /// An undefined parameter: it is in no list of parameters, and operations leave it out (a bias that is not wanted).
  Parameter() = default;
  /// Takes a handle to `initial` (a copy when it is not contiguous) and makes it require a gradient. Throws
  /// AutogradError on the result of a recorded operation, DTypeError unless the type is floating.
  explicit Parameter(const Tensor& initial) : Tensor(initial.contiguous()) { set_requires_grad(true); }
  Parameter(const Parameter& other) : Tensor(detail::copy_for_clone(other)) {}
  Parameter(Parameter&&) noexcept = default;
  Parameter& operator=(const Parameter&) = default;
  Parameter& operator=(Parameter&&) noexcept = default;
};

/// A tensor that belongs to a module's state but is no weight, such as a running mean.
class Buffer : public Tensor {
 public:
  /// An undefined buffer: it is in no list of buffers.
  Buffer() = default;
  /// Takes a handle to `initial`, or a copy when it is not contiguous.
  explicit Buffer(const Tensor& initial) : Tensor(initial.contiguous()) {}
  Buffer(const Buffer& other) : Tensor(detail::copy_for_clone(other)) {}
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(const Buffer&) = default;
  Buffer& operator=(Buffer&&) noexcept = default;
};

}  // namespace dnn
