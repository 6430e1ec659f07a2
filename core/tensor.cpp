// Tensor: what it knows about itself, its elements on the host, copies between types and devices.
#include "dnn/tensor.h"

#include <algorithm>

#include "core/capture.h"
#include "core/check.h"
#include "core/kernels/copy.h"
#include "core/kernels/runtime.h"
#include "core/node.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/reduce.h"

namespace dnn {

using detail::Access;
using detail::Backward;

const Shape& Tensor::shape() const { return Access::impl(*this).shape; }
const Strides& Tensor::strides() const { return Access::impl(*this).strides; }
int64_t Tensor::numel() const { return Access::impl(*this).numel; }
DType Tensor::dtype() const { return Access::impl(*this).dtype; }
Device Tensor::device() const { return Access::impl(*this).storage->device; }
bool Tensor::is_contiguous() const { return Access::impl(*this).contiguous; }
uint64_t Tensor::version() const { return Access::impl(*this).storage->version; }

void* Tensor::checked_data(DType expected) const {
  if (dtype() != expected)
    throw DTypeError(fmt::format("data: the tensor is {}, asked for {} (shape {})", dtype(), expected, shape()));
  detail::make_plain(*this);
  ++Access::impl(*this).storage->exposures;
  return detail::raw(*this);
}

void Tensor::copy_to_host(void* destination, DType expected) const {
  NoGrad no_grad;
  const Tensor source = contiguous();
  const void* data = source.checked_data(expected);
  const int64_t bytes = numel() * static_cast<int64_t>(size_of(expected));
  const auto copy = [&] { detail::runtime(device()).copy(destination, Device::cpu(), data, device(), bytes); };
  detail::profile_copy("to_host", device(), source, copy);
}

double Tensor::item() const {
  if (numel() != 1)
    throw ShapeError(fmt::format("item: the tensor has {} elements, expected 1 (shape {})", numel(), shape()));
  NoGrad no_grad;
  if (dtype() == DType::int64) return static_cast<double>(to_vector<int64_t>()[0]);
  return to(DType::float64).to_vector<double>()[0];
}

// ---- conversions ---------------------------------------------------------------------------------------------------

Tensor Tensor::contiguous() const {
  if (is_contiguous()) return *this;
  return clone();
}

Tensor Tensor::clone() const {
  Tensor result;
  if (detail::layout_of(*this) != detail::Layout::plain) {
    result = detail::allocate_like(*this);
    detail::record_copy("copy", *this);
    detail::profile_copy("copy", device(), *this, [&] {
      detail::runtime(device()).copy(detail::raw(result), device(), detail::raw(*this), device(),
                                     Access::impl(*this).storage->bytes);
    });
  } else {
    result = detail::allocate(shape(), dtype(), device());
    kernel::copy[device()](*this, result);
  }
  detail::record("clone", result, {*this}, [](Backward& b) { b.set(0, b.grad()); });
  return result;
}

Tensor Tensor::to(Device target) const {
  if (target == device()) return *this;
  if (!target.is_cpu() && !device().is_cpu())
    throw DeviceError(fmt::format("to: no copy from {} to {}, expected the CPU on one side", device(), target));
  const Tensor source = contiguous();
  detail::make_plain(source);
  Tensor result;
  if (target.is_cpu()) {
    result = detail::allocate(shape(), dtype(), target);
    detail::profile_copy("to_host", device(), source, [&] {
      detail::runtime(device()).copy(detail::raw(result), target, detail::raw(source), device(),
                                     numel() * static_cast<int64_t>(size_of(dtype())));
    });
  } else {
    detail::profile_copy("to_device", target, source,
                         [&] { result = detail::allocate(shape(), dtype(), target, detail::raw(source)); });
  }
  detail::record("to", result, {*this}, [home = device()](Backward& b) { b.set(0, b.grad().to(home)); });
  return result;
}

Tensor Tensor::to(DType type) const {
  if (type == dtype()) return *this;
  Tensor result = detail::allocate(shape(), type, device());
  const auto narrow = [](DType t) { return is_floating(t) && size_of(t) <= 4; };
  if (device().is_cuda() && narrow(type) && narrow(dtype()))
    detail::set_layout(result, detail::layout_of(*this));  // element by element, in any order
  else
    detail::make_plain(*this);
  kernel::copy[device()](*this, result);
  if (is_floating(type))
    detail::record("to", result, {*this}, [home = dtype()](Backward& b) { b.set(0, b.grad().to(home)); });
  return result;
}

Tensor Tensor::detach() const { return detail::make_view(*this, shape(), strides(), Access::impl(*this).offset); }

void Tensor::set_data(const Tensor& source) {
  detail::TensorImpl& impl = Access::impl(*this);
  const detail::TensorImpl& from = Access::impl(source);
  if (impl.node)
    throw AutogradError(
        fmt::format("set_data: the tensor is the result of {}, expected a leaf (shape {})", impl.node->name, shape()));
  if (impl.requires_grad) detail::check_floating("set_data", "source", source);
  detail::make_plain(source);
  const uint64_t version = std::max<uint64_t>(impl.storage->version, from.storage->version) + 1;
  ++impl.storage->departures;
  impl.storage = from.storage;
  impl.storage->version = version;  // whoever remembers this tensor's version sees a change
  impl.shape = from.shape;
  impl.strides = from.strides;
  impl.offset = from.offset;
  impl.numel = from.numel;
  impl.dtype = from.dtype;
  impl.contiguous = from.contiguous;
  if (impl.grad) impl.grad->grad = {}, impl.grad->zeroed = false, impl.grad->shadow.reset();
}

Tensor Tensor::sum() const { return dnn::sum(*this); }
Tensor Tensor::mean() const { return dnn::mean(*this); }
Tensor Tensor::max() const { return dnn::max(*this); }
Tensor Tensor::min() const { return dnn::min(*this); }
Tensor Tensor::argmax(int64_t dim, bool keepdim) const { return dnn::argmax(*this, dim, keepdim); }

}  // namespace dnn
