// The checks that many operations share.
#include "core/check.h"

namespace dnn::detail {

void check_defined(const char* where, std::initializer_list<NamedTensor> tensors) {
  for (const auto& [name, tensor] : tensors)
    if (!tensor->defined()) throw ArgumentError(fmt::format("{}: {} is undefined, expected a tensor", where, name));
}

Device check_same_device(const char* where, std::initializer_list<NamedTensor> tensors) {
  check_defined(where, {*tensors.begin()});
  const Device device = tensors.begin()->second->device();
  for (const auto& [name, tensor] : tensors)
    if (tensor->defined() && tensor->device() != device)
      throw DeviceError(fmt::format("{}: {} is on {}, {} on {}, expected one device (shapes {}, {})", where, name,
                                    tensor->device(), tensors.begin()->first, device, tensor->shape(),
                                    tensors.begin()->second->shape()));
  return device;
}

DType check_same_dtype(const char* where, std::initializer_list<NamedTensor> tensors) {
  check_defined(where, {*tensors.begin()});
  const DType type = tensors.begin()->second->dtype();
  for (const auto& [name, tensor] : tensors)
    if (tensor->defined() && tensor->dtype() != type)
      throw DTypeError(fmt::format("{}: {} is {}, {} is {}, expected one type (shapes {}, {})", where, name,
                                   tensor->dtype(), tensors.begin()->first, type, tensor->shape(),
                                   tensors.begin()->second->shape()));
  return type;
}

void check_rank(const char* where, const char* name, const Tensor& t, int rank) {
  if (t.rank() != rank)
    throw ShapeError(
        fmt::format("{}: {} has {} dimensions, expected {} ({} {})", where, name, t.rank(), rank, name, t.shape()));
}

void check_floating(const char* where, const char* name, const Tensor& t) {
  if (!is_floating(t.dtype()))
    throw DTypeError(
        fmt::format("{}: {} is {}, expected a floating type ({} {})", where, name, t.dtype(), name, t.shape()));
}

int64_t check_dim(const char* where, int64_t dim, int64_t rank) {
  const int64_t bound = rank == 0 ? 1 : rank;
  if (dim < -bound || dim >= bound)
    throw IndexError(
        fmt::format("{}: dimension {} is out of range, expected {} <= dimension < {}", where, dim, -bound, bound));
  return dim < 0 ? dim + bound : dim;
}

}  // namespace dnn::detail
