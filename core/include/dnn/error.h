// The exceptions of libdnn: one base class, one class per kind of mistake.
//
// Every text reads `where: what is, what was expected (the facts)`, in lower case and with every shape, so that the
// message alone is enough to find the mistake:
//   conv2d: input has 4 channels, weight expects 3 (input [8, 4, 32, 32], weight [16, 3, 3, 3], groups 1)
#pragma once

#include <stdexcept>
#include <string>

namespace dnn {

/// Base class of everything that libdnn throws.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Sizes or ranks do not fit the operation.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// Element types do not fit the operation.
class DTypeError : public Error {
 public:
  using Error::Error;
};

/// Tensors lie on different devices, or the device or its kernel does not exist.
class DeviceError : public Error {
 public:
  using Error::Error;
};

/// An index, a dimension or a class label is out of range.
class IndexError : public Error {
 public:
  using Error::Error;
};

/// An option or argument has a value that makes no sense.
class ArgumentError : public Error {
 public:
  using Error::Error;
};

/// The autograd graph cannot do what was asked, e.g. a saved tensor was modified in place.
class AutogradError : public Error {
 public:
  using Error::Error;
};

/// Memory was asked for and could not be had; all tensors stay usable.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// A file does not have the format that its reader expects.
class FormatError : public Error {
 public:
  using Error::Error;
};

/// The file system refused: missing, unreadable, unwritable, full.
class IoError : public Error {
 public:
  using Error::Error;
};

/// A backend library (oneDNN, CUDA, cuDNN, cuBLAS) reported a failure; the text carries expression, status and place.
class BackendError : public Error {
 public:
  using Error::Error;
};

}  // namespace dnn
