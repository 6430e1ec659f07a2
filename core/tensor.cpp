// Tensor: what it knows about itself, its elements on the host, copies between types and devices, in-place changes.
#include "dnn/tensor.h"

#include <algorithm>

#include "core/check.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise.h"
#include "core/kernels/runtime.h"
#include "core/node.h"
#include "dnn/ops/binary.h"
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
  detail::runtime(device()).copy(destination, Device::cpu(), data, device(), bytes);
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
    detail::runtime(device()).copy(detail::raw(result), device(), detail::raw(*this), device(),
                                   Access::impl(*this).storage->bytes);
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
  Tensor result = detail::allocate(shape(), dtype(), target);
  const Device active = target.is_cpu() ? device() : target;
  detail::runtime(active).copy(detail::raw(result), target, detail::raw(source), device(),
                               numel() * static_cast<int64_t>(size_of(dtype())));
  detail::record("to", result, {*this}, [home = device()](Backward& b) { b.set(0, b.grad().to(home)); });
  return result;
}

Tensor Tensor::to(DType type) const {
  if (type == dtype()) return *this;
  detail::make_plain(*this);
  Tensor result = detail::allocate(shape(), type, device());
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
  impl.storage = from.storage;
  impl.storage->version = version;  // whoever remembers this tensor's version sees a change
  impl.shape = from.shape;
  impl.strides = from.strides;
  impl.offset = from.offset;
  impl.numel = from.numel;
  impl.dtype = from.dtype;
  impl.contiguous = from.contiguous;
  if (impl.grad) impl.grad->grad = {}, impl.grad->zeroed = false;
}

// ---- in place ------------------------------------------------------------------------------------------------------

namespace {

// Writes an element-wise result, which has the target's shape, over the target.
void overwrite(const char* name, Tensor& target, const Tensor& value) {
  if (value.shape() != target.shape())
    throw ShapeError(fmt::format("{}: the result has shape {}, expected the shape {} of the tensor changed in place",
                                 name, value.shape(), target.shape()));
  target.copy_(value);
}

void check_operand(const char* name, const Tensor& operand) {
  if (grad_enabled() && operand.requires_grad())
    throw AutogradError(
        fmt::format("{}: the operand requires a gradient, which an in-place operation does not record; "
                    "expected an operation that is not in place, or NoGrad (shape {})",
                    name, operand.shape()));
}

}  // namespace

Tensor& Tensor::fill_(Scalar value) {
  detail::check_in_place("fill_", *this);
  detail::make_plain(*this);
  kernel::fill[device()](*this, value);
  detail::bump_version(*this);
  return *this;
}

Tensor& Tensor::copy_(const Tensor& source) {
  detail::check_in_place("copy_", *this);
  check_operand("copy_", source);
  NoGrad no_grad;
  detail::make_plain(*this);
  const bool overlaps = Access::impl(source).storage == Access::impl(*this).storage;
  const Tensor here = overlaps ? source.clone() : source.to(device());
  detail::make_plain(here);
  const Tensor expanded = here.shape() == shape() ? here : here.expand(shape());
  if (numel() > 0) kernel::copy[device()](expanded, *this);
  detail::bump_version(*this);
  return *this;
}

Tensor& Tensor::add_(const Tensor& other, Scalar alpha) {
  detail::check_in_place("add_", *this);
  check_operand("add_", other);
  NoGrad no_grad;
  const Tensor scaled = alpha.to_double() == 1 ? other : other * alpha;
  const detail::TensorImpl &to = Access::impl(*this), &from = Access::impl(scaled);
  const bool overlaps = from.storage == to.storage && from.offset != to.offset;
  const bool direct = is_contiguous() && scaled.is_contiguous() && scaled.shape() == shape() &&
                      scaled.dtype() == dtype() && scaled.device() == device() && !overlaps;
  if (direct) {
    detail::make_plain(*this);
    detail::make_plain(scaled);
    kernel::binary_forward<functor::Add>[device()](functor::Add{}, *this, scaled, *this);
    detail::bump_version(*this);
  } else {
    overwrite("add_", *this, add(*this, scaled));
  }
  return *this;
}

Tensor& Tensor::sub_(const Tensor& other) {
  detail::check_in_place("sub_", *this);
  check_operand("sub_", other);
  NoGrad no_grad;
  overwrite("sub_", *this, sub(*this, other));
  return *this;
}

Tensor& Tensor::mul_(const Tensor& other) {
  detail::check_in_place("mul_", *this);
  check_operand("mul_", other);
  NoGrad no_grad;
  overwrite("mul_", *this, mul(*this, other));
  return *this;
}

Tensor& Tensor::mul_(Scalar value) {
  detail::check_in_place("mul_", *this);
  NoGrad no_grad;
  overwrite("mul_", *this, mul(*this, value));
  return *this;
}

Tensor& Tensor::add_(Scalar value) {
  detail::check_in_place("add_", *this);
  NoGrad no_grad;
  overwrite("add_", *this, add(*this, value));
  return *this;
}

Tensor Tensor::sum() const { return dnn::sum(*this); }
Tensor Tensor::mean() const { return dnn::mean(*this); }
Tensor Tensor::max() const { return dnn::max(*this); }
Tensor Tensor::min() const { return dnn::min(*this); }
Tensor Tensor::argmax(int64_t dim, bool keepdim) const { return dnn::argmax(*this, dim, keepdim); }

}  // namespace dnn
