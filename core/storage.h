// What a Tensor handle points at: a storage (bytes on a device, with a layout) seen through shape, strides and offset.
//
// Layout is a field of the storage. A storage that is not `plain` holds exactly one activation [n, c, h, w], float32 or
// (on a GPU) of 16 bits, and every tensor over it is the whole of it in row-major order. Kernels that know the layout
// read `raw`; everybody else goes through `Tensor::data`, a view or a copy, which first turn the storage plain in place.
#pragma once

#include <atomic>
#include <memory>

#include "dnn/tensor.h"

namespace dnn::detail {

struct Node;
struct GradState;

// How the elements of [n, c, h, w] lie in memory.
enum class Layout : uint8_t {
  plain,          // n, c, h, w
  channels_last,  // n, h, w, c
  blocked8,       // n, c / 8, h, w, 8
  blocked16,      // n, c / 16, h, w, 16
};

// A number for the next storage, higher than those of all before.
uint64_t next_serial();

struct Storage {
  // Uninitialised, or with the bytes at `host`, memory of the CPU; throws OutOfMemory, DeviceError.
  Storage(int64_t bytes, Device device, const void* host = nullptr);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data = nullptr;
  int64_t bytes = 0;
  Device device;
  Layout layout = Layout::plain;
  Shape layout_shape;  // [n, c, h, w] when the layout is not plain
  std::atomic<uint64_t> version{0};
  const uint64_t serial;             // later ones have higher numbers
  std::atomic<uint64_t> departures{0};  // times that a tensor was made to refer to other elements
  std::atomic<uint64_t> exposures{0};  // times that Tensor::data handed out a pointer, which may be written unseen
};

struct TensorImpl {
  std::shared_ptr<Storage> storage;
  Shape shape;
  Strides strides;
  int64_t offset = 0;  // in elements
  int64_t numel = 1;
  DType dtype = DType::float32;
  bool contiguous = true;
  bool requires_grad = false;
  std::shared_ptr<Node> node;       // the operation that computed it, null for leaves
  std::unique_ptr<GradState> grad;  // of leaves that require a gradient, and of tensors with hooks

  TensorImpl();
  ~TensorImpl();
};

// The door to a Tensor's inside.
struct Access {
  static Tensor wrap(std::shared_ptr<TensorImpl> impl) { return Tensor(std::move(impl)); }
  static TensorImpl& impl(const Tensor& t);  // throws ArgumentError for an undefined tensor
  static const std::shared_ptr<TensorImpl>& pointer(const Tensor& t) { return t.impl_; }
};

// A view of the same storage, outside the graph; the storage must be plain unless the view is the whole.
Tensor make_view(const Tensor& base, const Shape& shape, const Strides& strides, int64_t offset);

// The layout of the elements of `t`.
Layout layout_of(const Tensor& t);
// Declares that the (fresh, whole, contiguous 4-D) tensor will be written in that layout.
void set_layout(const Tensor& t, Layout layout);
// Turns the storage plain in place, without a version bump: the values do not change.
void make_plain(const Tensor& t);
// Pointer to the first element whatever the layout.
void* raw(const Tensor& t);
// Notes an in-place change.
void bump_version(const Tensor& t);

// Fresh tensor, uninitialised or with the elements at `host`, memory of the CPU.
Tensor allocate(const Shape& shape, DType dtype, Device device, const void* host = nullptr);
// Fresh uninitialised tensor like `t`; takes over its layout, for operations that hand the layout on.
Tensor allocate_like(const Tensor& t);

}  // namespace dnn::detail
