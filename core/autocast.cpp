// Casting operands, and the shadows of weights.
#include "core/autocast.h"

#include <mutex>

#include "core/capture.h"
#include "core/kernels/copy.h"
#include "core/node.h"
#include "core/text.h"
#include "dnn/autograd.h"
#include "dnn/error.h"
#include "dnn/precision.h"

namespace dnn {

Autocast::Autocast(DType type) : before_(detail::autocast_type) {
  if (type != DType::float32 && type != DType::float16 && type != DType::bfloat16)
    throw DTypeError(fmt::format("autocast: the type is {}, expected bfloat16 or float16, or float32 for none", type));
  detail::autocast_type = type;
}
Autocast::~Autocast() { detail::autocast_type = before_; }

DType autocast_dtype() { return detail::autocast_type; }

namespace detail {

namespace {

// Two threads may use a net at the same time.
std::mutex& shadow_mutex() {
  static std::mutex mutex;
  return mutex;
}

bool is_up_to_date(const Shadow& shadow, const Storage& storage) {
  return shadow.version == storage.version && shadow.exposures == storage.exposures;
}

bool is_up_to_date(const TensorImpl& impl) {
  return impl.grad && impl.grad->shadow && is_up_to_date(*impl.grad->shadow, *impl.storage);
}

// The shadow of a leaf at the time, null when the leaf is gone or has got another one.
class SameShadow {
 public:
  explicit SameShadow(const Tensor& t)
      : owner_(Access::pointer(t)), storage_(Access::impl(t).grad->shadow->storage.get()) {}
  Shadow* find(std::shared_ptr<TensorImpl>& leaf) const {
    leaf = owner_.lock();
    Shadow* const shadow = leaf && leaf->grad ? leaf->grad->shadow.get() : nullptr;
    return shadow != nullptr && shadow->storage.get() == storage_ ? shadow : nullptr;
  }

 private:
  std::weak_ptr<TensorImpl> owner_;
  const Storage* storage_;
};

// The shadow has been written, also by each repetition of a captured step.
void mark(const Tensor& t) {
  const Shadow& now = *Access::impl(t).grad->shadow;
  const auto written = [same = SameShadow(t)] {
    std::shared_ptr<TensorImpl> leaf;
    Shadow* const shadow = same.find(leaf);
    if (shadow == nullptr) return;
    shadow->version = leaf->storage->version;
    shadow->exposures = leaf->storage->exposures;
    shadow->serial = next_serial();
    ++shadow->storage->version;
  };
  const auto as_before = [same = SameShadow(t), version = now.version, exposures = now.exposures] {
    std::shared_ptr<TensorImpl> leaf;
    if (Shadow* const shadow = same.find(leaf)) shadow->version = version, shadow->exposures = exposures;
  };
  repeat(written, as_before);
}

// A captured step that relies on a shadow of before may be repeated only while that one is up to date.
void watch(const Tensor& t) {
  const Recorder* const r = recorder();
  if (r == nullptr || !r->is_from_before(Access::impl(t).grad->shadow->serial)) return;
  repeat_while("a weight's copy of 16 bits", [same = SameShadow(t)] {
    std::shared_ptr<TensorImpl> leaf;
    const Shadow* const shadow = same.find(leaf);
    return shadow != nullptr && is_up_to_date(*shadow, *leaf->storage);
  });
}

// A tensor over the shadow of `impl`.
Tensor view_of(const TensorImpl& impl) {
  const Shadow& shadow = *impl.grad->shadow;
  auto view = std::make_shared<TensorImpl>();
  view->storage = shadow.storage;
  view->shape = impl.shape;
  view->strides = contiguous_strides(impl.shape);
  view->numel = impl.numel;
  view->dtype = shadow.dtype;
  return Access::wrap(std::move(view));
}

}  // namespace

CastScope::CastScope(const char* where, const Tensor& input) {
  if (input.defined() && input.device().is_cpu())
    throw DeviceError(
        fmt::format("{}: the input is on a CPU while autocast asks for {}, expected it on a GPU, or "
                    "Autocast(DType::float32) around it (input {})",
                    where, type(), input.shape()));
}

Tensor CastScope::operator()(const Tensor& t) const {
  if (!t.defined() || !is_floating(t.dtype()) || t.dtype() == DType::float64) return t;
  return t.to(type());
}

Tensor CastScope::weight(const Tensor& t) const {
  if (!t.defined() || t.dtype() != DType::float32 || !t.is_leaf() || t.device().is_cpu()) return (*this)(t);
  return shadow_of(t, type());
}

Tensor CastScope::operand(const Tensor& t) const { return t.defined() && t.requires_grad() ? weight(t) : (*this)(t); }

Tensor widened(const Tensor& t) {
  const bool narrow = autocasts() && t.defined() && is_floating(t.dtype()) && size_of(t.dtype()) == 2;
  return narrow ? t.to(DType::float32) : t;
}

Tensor shadow_of(const Tensor& t, DType type) {
  const std::lock_guard lock(shadow_mutex());
  TensorImpl& impl = Access::impl(t);
  Storage& storage = *impl.storage;
  if (!impl.grad) impl.grad = std::make_unique<GradState>();
  std::unique_ptr<Shadow>& shadow = impl.grad->shadow;
  if (!shadow || shadow->dtype != type) {
    const Tensor fresh = allocate(impl.shape, type, storage.device);
    shadow = std::make_unique<Shadow>();
    shadow->storage = Access::impl(fresh).storage;
    shadow->dtype = type;
  }
  const Tensor result = view_of(impl);
  if (is_up_to_date(*shadow, storage)) {
    watch(t);
  } else {
    const NoGrad no_grad;
    make_plain(t);
    kernel::copy[storage.device](t, result);
    mark(t);
  }
  if (impl.requires_grad) {
    TensorImpl& view = Access::impl(result);
    view.requires_grad = true;
    view.grad = std::make_unique<GradState>();
    view.grad->master = Access::pointer(t);
  }
  return result;
}

Tensor shadow_to_write(const Tensor& parameter, bool may_skip) {
  const TensorImpl& impl = Access::impl(parameter);
  if (!impl.grad || !impl.grad->shadow) return {};
  if (may_skip) {
    if (!is_up_to_date(impl)) return {};
    watch(parameter);
  }
  return view_of(impl);
}

void shadow_written(const Tensor& parameter) { mark(parameter); }

}  // namespace detail

}  // namespace dnn
