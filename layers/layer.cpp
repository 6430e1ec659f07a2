// Layer: hooks, and errors that name the layer they come from.
#include "dnn/layer.h"

#include <atomic>
#include <unordered_map>

#include "dnn/capture.h"

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
  detail::interrupt_capture("a forward hook");
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

// For a profiler: the part in which the outermost running layer was called, and the paths of all layers in it.
struct Profiled {
  std::string part;
  std::unordered_map<const Module*, std::string> paths;
};
thread_local Profiled profiled;
}  // namespace

RunningLayer::RunningLayer(Layer& layer) : layer_(layer) {
  if (is_profiling()) profile();
  ++depth;
  source = nullptr;
}

RunningLayer::~RunningLayer() {
  if (--depth == 0 && range_.run_ != 0) profiled = {};
}

// A layer that the outermost one does not list goes by its class, and so does the outermost one outside of all ranges.
void RunningLayer::profile() {
  auto& [part, paths] = profiled;
  if (depth == 0) {
    part = profiled_part();
    paths.clear();
    for (const auto& [path, module] : layer_.modules()) paths.emplace(module, path);
  }
  const auto found = paths.find(&layer_);
  const std::string name = found == paths.end() ? layer_.type_name() : found->second;
  if (part.empty())
    range_.open(name.empty() ? layer_.type_name() : name);
  else
    range_.open(name.empty() ? part : part + "." + name);
}

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
