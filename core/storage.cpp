// Making tensors over storages, and changing the layout of a storage.
#include "core/storage.h"

#include "core/capture.h"
#include "core/kernels/copy.h"
#include "core/kernels/runtime.h"
#include "core/node.h"
#include "core/text.h"
#include "dnn/error.h"

namespace dnn::detail {

TensorImpl::TensorImpl() = default;
TensorImpl::~TensorImpl() = default;

TensorImpl& Access::impl(const Tensor& t) {
  if (!t.impl_) throw ArgumentError("tensor: the tensor is undefined, expected one that holds elements");
  return *t.impl_;
}

namespace {

bool is_row_major(const Shape& shape, const Strides& strides) {
  if (shape.numel() == 0) return true;
  int64_t expected = 1;
  for (int64_t d = shape.rank() - 1; d >= 0; --d) {
    if (shape[d] != 1 && strides[d] != expected) return false;
    expected *= shape[d];
  }
  return true;
}

// Replaces the bytes of a storage by the same elements in another layout.
void relayout(Storage& storage, Layout layout) {
  if (Recorder* const r = recorder()) r->moves(storage);
  Storage fresh(storage.bytes, storage.device);
  const int64_t count = storage.layout_shape.numel();
  kernel::relayout[storage.device](storage.data, storage.layout, fresh.data, layout, storage.layout_shape,
                                   count == 0 ? 0 : storage.bytes / count);
  std::swap(storage.data, fresh.data);
  storage.layout = layout;
}

}  // namespace

Tensor make_view(const Tensor& base, const Shape& shape, const Strides& strides, int64_t offset) {
  const TensorImpl& from = Access::impl(base);
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = from.storage;
  impl->shape = shape;
  impl->strides = strides;
  impl->offset = offset;
  impl->numel = shape.numel();
  impl->dtype = from.dtype;
  impl->contiguous = is_row_major(shape, strides);
  if (shape != from.shape || strides != from.strides) make_plain(base);
  return Access::wrap(std::move(impl));
}

Layout layout_of(const Tensor& t) { return Access::impl(t).storage->layout; }

void set_layout(const Tensor& t, Layout layout) {
  TensorImpl& impl = Access::impl(t);
  impl.storage->layout = layout;
  impl.storage->layout_shape = layout == Layout::plain ? Shape{} : impl.shape;
}

void make_plain(const Tensor& t) {
  Storage& storage = *Access::impl(t).storage;
  if (storage.layout == Layout::plain) return;
  relayout(storage, Layout::plain);
  storage.layout_shape = {};
}

void* raw(const Tensor& t) {
  const TensorImpl& impl = Access::impl(t);
  return static_cast<char*>(impl.storage->data) + impl.offset * static_cast<int64_t>(size_of(impl.dtype));
}

void bump_version(const Tensor& t) {
  Storage& storage = *Access::impl(t).storage;
  ++storage.version;
  if (Recorder* const r = recorder()) r->writes(storage);
}

Tensor allocate(const Shape& shape, DType dtype, Device device, const void* host) {
  const int64_t count = shape.numel();
  int64_t bytes = 0;
  if (__builtin_mul_overflow(count, static_cast<int64_t>(size_of(dtype)), &bytes))
    throw ShapeError(fmt::format("empty: {} elements of {} exceed 64 bits of bytes (shape {})", count, dtype, shape));
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = std::make_shared<Storage>(bytes, device, host);
  impl->shape = shape;
  impl->strides = contiguous_strides(shape);
  impl->numel = count;
  impl->dtype = dtype;
  return Access::wrap(std::move(impl));
}

Tensor allocate_like(const Tensor& t) {
  Tensor result = allocate(t.shape(), t.dtype(), t.device());
  set_layout(result, layout_of(t));
  return result;
}

Tensor in_layout(const Tensor& t, Layout layout) {
  if (layout_of(t) == layout) return t;
  record_copy("relayout", t);
  Tensor result = allocate(t.shape(), t.dtype(), t.device());
  set_layout(result, layout);
  kernel::relayout[t.device()](raw(t), layout_of(t), raw(result), layout, t.shape(),
                               static_cast<int64_t>(size_of(t.dtype())));
  return result;
}

}  // namespace dnn::detail
