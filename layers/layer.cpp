// Layer: hooks, and errors that name the layer they come from.
#include "dnn/layer.h"

#include <atomic>

namespace dnn {

int Layer::register_forward_hook(ForwardHook hook) {
  static std::atomic<int> next{0};
  const int id = ++next;
  hooks_.push_back({id, std::move(hook)});
  return id;
}

void Layer::remove_forward_hook(int id) {
  std::erase_if(hooks_, [id](const Hook& hook) { return hook.id == id; });
}

void Layer::call_hooks(const Tensor& x, const Tensor& y) const {
  for (const Hook& hook : std::vector<Hook>(hooks_)) hook.call(*this, x, y);  // a hook may remove itself
}

Activation Epilogue::activation() const {
  if (relu && gelu_tanh) throw ArgumentError("Epilogue: relu and gelu_tanh are both set, expected at most one");
  if (gelu_tanh) return Activation::gelu_tanh;
  return relu ? Activation::relu : Activation::none;
}

namespace detail {

namespace {
thread_local int depth = 0;                   // layers running inside each other
thread_local const Module* source = nullptr;  // the innermost layer that the error on its way has passed
}  // namespace

RunningLayer::RunningLayer(Layer& layer) : layer_(layer) {
  ++depth;
  source = nullptr;
}

RunningLayer::~RunningLayer() { --depth; }

void RunningLayer::failed(Error& error) {
  if (source == nullptr) source = &layer_;
  if (depth > 1) return;
  for (const auto& [path, module] : layer_.modules()) {
    if (module != source || path.empty()) continue;
    // Assigned through the base: the exception keeps its type, also when that is a class of the user's.
    static_cast<std::runtime_error&>(error) =
        std::runtime_error(path + " (" + module->type_name() + "): " + error.what());
  }
}

}  // namespace detail
}  // namespace dnn
